"""Noise where training images are blank changes what a network says."""

from collections.abc import Mapping

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.symbolic.blank_pixels import given, noisy
from offmap.lab.data import Images


@claim(
    says="Noise in pixels that are blank in all training images of MNIST changes 1 to 20 % of a "
    "network's answers to test images: the weights there are still those it began with.",
    effect="Share of test images whose class changes with uniform noise in those pixels; mean over "
    "networks.",
    above=0.01,
    below=0.2,
    scales={
        "smoke": {"epochs": 8, "networks": 4},
        "desk": {"epochs": 2, "networks": 2},
        "full": {"epochs": 10, "networks": 5},
    },
    seconds={"smoke": 0.3, "desk": 8, "full": 150},
    paper=Paper(
        "Melamed, Yehudai and Vardi 2023, Adversarial examples exist in two-layer ReLU networks "
        "for low dimensional linear subspaces",
        "https://arxiv.org/abs/2303.00783",
    ),
    data={"desk": ("mnist",), "full": ("mnist",)},
)
def offspan_noise(
    *, epochs: int, networks: int, data: Mapping[str, Images], generator: torch.Generator
) -> Trial:
    """Digits in a blank frame two pixels wide at the smallest scale, MNIST beyond.

    A network of one hidden layer is trained as usual. Noise is uniform from 0 to 1, the range of
    the other pixels, in the pixels without a mark in any training image alone.

    Args:
        epochs: Passes over the data.
        networks: Trained at once.
        data: MNIST, where it is read.
        generator: Source of weights and noise.
    """
    nets, span, _, test = given(data, epochs, networks, generator=generator)
    other = noisy(test, span, generator=generator)
    with torch.no_grad():
        changed = [(net(other).argmax(1) != net(test).argmax(1)).double().mean() for net in nets]
    shares = torch.stack(changed)
    return Trial(
        effect=shares.mean().item(),
        parts={
            "blank pixels": len(span.flat),
            "least over networks": shares.min().item(),
            "most over networks": shares.max().item(),
        },
    )
