"""The share of pictures inside the hull falls faster and faster with the dimensions kept."""

from collections.abc import Mapping
from itertools import pairwise
from math import log

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.interpolation.pictures import components, sets
from offmap.lab.data import Images
from offmap.numerics.hull import membership

SIZES = {"digits": (1400, 397), "mnist": (60_000, 1000)}
DIMENSIONS = {"digits": (4, 6, 8), "mnist": (8, 10, 12)}


@claim(
    says="The share of test pictures inside the hull of the training pictures falls faster than "
    "exponentially with the number of principal components that are kept.",
    effect="By how much the logarithm of the share falls more in the second of two equal steps "
    "than in the first (4, 6, 8 components; MNIST 8, 10, 12); the smallest over the sets",
    above=0.0,
    scales={"smoke": {"examples": 200}, "desk": {"examples": 1000}, "full": {"examples": 1000}},
    seconds={"smoke": 0.4, "desk": 10.0, "full": 10.0},
    paper=Paper("Balestriero, Pesenti & LeCun 2021", "https://arxiv.org/abs/2110.09485"),
    data={"desk": ("mnist",), "full": ("mnist",)},
)
def hull_share_falls(
    *, examples: int, data: Mapping[str, Images], generator: torch.Generator
) -> Trial:
    """Pictures are divided at random; the components are those of the training pictures alone.

    So does the law for Gaussian points at one number of them: the share is near one up to some
    dimension, and near zero soon beyond.
    """
    bends, parts = [], {}
    for name, pictures in sets(data, SIZES, generator=generator).items():
        dimensions = DIMENSIONS[name]
        points, queries = components(
            pictures.train, pictures.test[:examples], dimensions[-1], generator=generator
        )
        shares = [
            membership(points[:, :d], queries[:, :d]).inside.double().mean().item()
            for d in dimensions
        ]
        first, second = (log(earlier / later) for earlier, later in pairwise(shares))
        bends.append(second - first)
        parts |= {
            f"{name}, {d} components: inside": share
            for d, share in zip(dimensions, shares, strict=True)
        }
    return Trial(min(bends), parts)
