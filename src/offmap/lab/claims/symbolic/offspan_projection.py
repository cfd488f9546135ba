"""Taking out what was never trained costs nothing and closes the directions never seen."""

from collections.abc import Mapping
from copy import deepcopy

import torch
from torch import Tensor, nn

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.symbolic.blank_pixels import given, noisy
from offmap.lab.claims.symbolic.networks import first_layer
from offmap.lab.data import Images
from offmap.models.mlp import MLP
from offmap.numerics.span import Span, trained


@claim(
    says="Taking from the first layer the part that training never moves changes no answer on the "
    "span of the training data, and afterwards no noise off that span changes any answer.",
    effect="Largest change of a logit, relative to the largest logit: on training images by the "
    "projection, and on test images after it by noise in blank pixels and along unseen directions.",
    below=1e-9,
    scales={
        "smoke": {"epochs": 3, "networks": 2},
        "desk": {"epochs": 1, "networks": 2},
        "full": {"epochs": 10, "networks": 5},
    },
    seconds={"smoke": 0.1, "desk": 11, "full": 150},
    paper=Paper(
        "Melamed, Yehudai and Vardi 2023, Adversarial examples exist in two-layer ReLU networks "
        "for low dimensional linear subspaces",
        "https://arxiv.org/abs/2303.00783",
    ),
    data={"desk": ("mnist",), "full": ("mnist",)},
)
def offspan_projection(
    *, epochs: int, networks: int, data: Mapping[str, Images], generator: torch.Generator
) -> Trial:
    """The networks of `offspan_noise`, in float64 once they are trained.

    The part is found by `offmap.numerics.span`, and taken out by `trained` there. Where the hull of
    the training images misses zero, the weights along the way to it do learn, as a second bias
    does, and noise that way still counts; neither data set leaves out such a direction. The share
    of test images whose class changes with noise in blank pixels, before and after, is among the
    parts.

    Args:
        epochs: Passes over the data.
        networks: Trained at once.
        data: MNIST, where it is read.
        generator: Source of weights and noise.
    """
    nets, span, train, test = given(data, epochs, networks, generator=generator)
    other = noisy(test, span, generator=generator)
    off = torch.randn(len(test), span.codimension, generator=generator, dtype=torch.double)
    far = test + span.lifted(off)
    inside, outside, before, after = [], [], [], []
    with torch.no_grad():
        for net in nets:
            less = projected(net, span)
            inside.append(_apart(net(train), less(train)))
            outside += [_apart(less(test), less(other)), _apart(less(test), less(far))]
            before.append(_changed(net, test, other))
            after.append(_changed(less, test, other))
    return Trial(
        effect=max(inside + outside),
        parts={
            "on training images": max(inside),
            "off the span": max(outside),
            "answers changed by noise, before": sum(before) / len(nets),
            "answers changed by noise, after": sum(after) / len(nets),
            "unseen directions": span.codimension,
        },
    )


def projected(network: MLP, span: Span) -> MLP:
    """The network without the part of its first layer that the span's rows never move."""
    less = deepcopy(network)
    layer = first_layer(less)
    weight, bias = trained(span, layer.weight, layer.bias)
    assert bias is not None
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    return less


def _apart(first: Tensor, second: Tensor) -> float:
    return ((first - second).abs().max() / first.abs().max()).item()


def _changed(network: nn.Module, first: Tensor, second: Tensor) -> float:
    return (network(first).argmax(1) != network(second).argmax(1)).double().mean().item()
