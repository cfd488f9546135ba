"""Do dimension and number of points say how many fresh ones are inside?"""

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.interpolation.hull_tails import SCALES, hull_tails
from offmap.lab.claims.interpolation.laws import LIGHT_TO_HEAVY


@claim(
    says="Dimension and number of points decide how many fresh points lie in the hull, to a tenth.",
    effect="The largest difference between the shares inside of data of four laws",
    below=0.1,
    scales=SCALES,
    seconds={"smoke": 0.3, "desk": 5.0, "full": 60.0},
    paper=Paper("Balestriero, Pesenti & LeCun 2021", "https://arxiv.org/abs/2110.09485"),
    corrected="hull_tails",
)
def hull_dimension_alone(
    *, dimension: int, count: int, hulls: int, queries: int, generator: torch.Generator
) -> Trial:
    """The protocol of `hull_tails`, without the sphere: four laws that fill the same dimensions."""
    found = hull_tails(
        dimension=dimension, count=count, hulls=hulls, queries=queries, generator=generator
    )
    shares = [found.parts[name] for name in LIGHT_TO_HEAVY if name != "sphere"]
    return Trial(max(shares) - min(shares), found.parts, found.figures)
