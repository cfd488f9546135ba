"""The popular form: weight decay has one solution, whatever the points."""

import numpy as np
import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.implicit_bias.savarese_unique import draw, picture, spread


@claim(
    says="Whatever the points on the line, weight decay has one solution, the straight lines: also "
    "where the slope changes twice in the same direction.",
    effect="range of the values that cheapest networks take midway between points, relative to the "
    "range of the data; mean over random sets with two turns to the same side",
    below=1e-3,
    scales={
        "smoke": {"n": 5, "sets": 3, "extra": 3},
        "desk": {"n": 7, "sets": 20, "extra": 6},
        "full": {"n": 10, "sets": 200, "extra": 20},
    },
    seconds={"smoke": 0.1, "desk": 2.0, "full": 60.0},
    paper=Paper("Hanin 2021", "https://arxiv.org/abs/2109.12960"),
    corrected="savarese_unique",
)
def weight_decay_unique(*, n: int, sets: int, extra: int, generator: torch.Generator) -> Trial:
    """The protocol of `savarese_unique`, on the points that it leaves out."""
    rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
    ranges = [spread(*draw(n, False, rng), extra, rng) for _ in range(sets)]
    return Trial(
        effect=float(np.mean(ranges)),
        parts={"least": min(ranges), "largest": max(ranges)},
        figures=(picture(draw(n, False, rng), extra, rng),),
    )
