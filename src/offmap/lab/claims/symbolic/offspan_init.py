"""A smaller start leaves less slope off the data."""

import torch
from jaxtyping import Float64
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.symbolic.networks import first_layer, sources
from offmap.lab.claims.symbolic.subspace import WIDTH, world
from offmap.models.mlp import MLP
from offmap.numerics.span import Span, span_of
from offmap.run import Recipe, Split
from offmap.train import ensemble_trainer


@claim(
    says="A first layer that starts ten times smaller leaves a slope off the span of the data at "
    "least five times smaller, beside the slope along it.",
    effect="Root mean square of the gradient off the span over that along it, at training points: "
    "its ratio of a network that started as usual to one whose first layer started ten times "
    "smaller.",
    above=5.0,
    scales={
        "smoke": {"inputs": 50, "dimension": 5, "steps": 120, "networks": 3},
        "desk": {"inputs": 100, "dimension": 10, "steps": 1000, "networks": 5},
        "full": {"inputs": 100, "dimension": 10, "steps": 10_000, "networks": 5},
    },
    seconds={"smoke": 0.45, "desk": 6, "full": 60},
    paper=Paper(
        "Melamed, Yehudai and Vardi 2023, Adversarial examples exist in two-layer ReLU networks "
        "for low dimensional linear subspaces",
        "https://arxiv.org/abs/2303.00783",
    ),
)
def offspan_init(
    *, inputs: int, dimension: int, steps: int, networks: int, generator: torch.Generator
) -> Trial:
    """Data in a plane of few dimensions; gradient descent on a network of one hidden layer.

    Off the span the gradient of the network is made of first-layer weights that are still those
    it started with, so it shrinks with them; what is left of the factor of ten goes to what the
    other layer and the biases have become. The training errors are among the parts.

    Args:
        inputs: Of the network.
        dimension: Of the plane.
        steps: Of training, with all examples in each.
        networks: Trained at once for each start.
        generator: Source of data and weights.
    """
    split = world(inputs, dimension, generator=generator)
    span = span_of([split.inputs], affine=False)  # with the mean, which the bias learns
    parts: dict[str, float] = {}
    for name, scale in (("as usual", 1.0), ("ten times smaller", 0.1)):

        def build(scale: float = scale) -> MLP:
            net = MLP(inputs, (WIDTH,), 1).double()
            with torch.no_grad():
                first_layer(net).weight.mul_(scale)
            return net

        recipe = Recipe(build, lambda w: torch.optim.SGD(w, lr=0.05), mse_loss, steps, len(split))
        nets = ensemble_trainer(recipe)(split, sources(networks, generator))
        slopes = torch.stack([off_and_along(net, split, span) for net in nets])
        with torch.no_grad():
            errors = [mse_loss(net(split.inputs), split.targets) for net in nets]
        off, along = slopes.square().mean(dim=0).sqrt().tolist()
        parts |= {
            f"slope off the span, {name}": off,
            f"slope along it, {name}": along,
            f"training error, {name}": torch.stack(errors).mean().item(),
        }
    usual, small = (
        parts[f"slope off the span, {name}"] / parts[f"slope along it, {name}"]
        for name in ("as usual", "ten times smaller")
    )
    return Trial(effect=usual / small, parts=parts)


def off_and_along(network: nn.Module, split: Split, span: Span) -> Float64[Tensor, "2"]:
    """Root mean square, over examples, of the gradient's norm off the span and along it."""
    x = split.inputs.clone().requires_grad_()
    with torch.enable_grad():
        slope = torch.autograd.grad(network(x).sum(), x)[0]
    off = span.along(slope).square().sum(dim=1)
    along = slope.square().sum(dim=1) - off
    return torch.stack([off.mean(), along.mean()]).sqrt()
