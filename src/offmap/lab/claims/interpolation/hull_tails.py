"""The heavier the tails of the data, the more fresh points are inside its hull."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch

from offmap.estimate import replicates
from offmap.figures import Bars
from offmap.lab.claim import Paper, Scale, Trial, claim
from offmap.lab.claims.interpolation.hulls import shares_inside
from offmap.lab.claims.interpolation.laws import LIGHT_TO_HEAVY
from offmap.numerics.hull import inside_probability

SCALES: Mapping[Scale, Mapping[str, Any]] = {
    "smoke": {"dimension": 6, "count": 300, "hulls": 2, "queries": 25},
    "desk": {"dimension": 8, "count": 1000, "hulls": 8, "queries": 50},
    "full": {"dimension": 12, "count": 1000, "hulls": 100, "queries": 50},
}


@claim(
    says="With dimension and number fixed, the share of fresh points inside the hull grows with "
    "the tails of the data: sphere, ball, cube, Gaussian, Student's t.",
    effect="The smallest step of the share from one law to the next, in this order",
    above=0.0,
    scales=SCALES,
    seconds={"smoke": 0.3, "desk": 5.0, "full": 60.0},
    paper=Paper("Bonnet et al. 2019", "https://arxiv.org/abs/1802.04089"),
)
def hull_tails(
    *, dimension: int, count: int, hulls: int, queries: int, generator: torch.Generator
) -> Trial:
    """Hulls of as many points of each law, and fresh points of the same law.

    The Gaussian share is known in closed form, and among the parts. Which points are inside does
    not change under an affine map (`hull_affine`), so that the laws need no common scale.
    """
    shares = {
        name: shares_inside(
            lambda n, law=law: law(n, dimension, generator=generator),
            count, hulls=hulls, queries=queries,
        )
        for name, law in LIGHT_TO_HEAVY.items()
    }  # fmt: skip
    means = {name: rows.mean().item() for name, rows in shares.items()}
    steps = [later - earlier for earlier, later in pairwise(means.values())]
    return Trial(
        min(steps),
        means | {"Gaussian, by the exact law": inside_probability(count, dimension)},
        (
            Bars(
                f"Fresh points inside the hull of {count} in {dimension} dimensions",
                "share inside",
                {name: replicates(rows) for name, rows in shares.items()},
            ),
        ),
    )
