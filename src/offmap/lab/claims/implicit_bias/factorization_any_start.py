"""The popular form: descent on a factor finds the matrix of least nuclear norm."""

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.implicit_bias.factorization_nuclear import excesses, figure


@claim(
    says="Gradient descent on U U' ends within half a percent of the least nuclear norm: also from "
    "a start as large as the solution.",
    effect="nuclear norm from a start of norm 1 over the least, less one",
    below=0.005,
    scales={
        "smoke": {"n": 8, "rank": 1, "m": 20, "most": 4000},
        "desk": {"n": 20, "rank": 2, "m": 120, "most": 50_000},
        "full": {"n": 40, "rank": 3, "m": 350, "most": 100_000},
    },
    seconds={"smoke": 0.2, "desk": 6.0, "full": 120.0},
    paper=Paper("Gunasekar et al. 2017", "https://arxiv.org/abs/1705.09280"),
    corrected="factorization_nuclear",
)
def factorization_any_start(
    *, n: int, rank: int, m: int, most: int, generator: torch.Generator
) -> Trial:
    """The protocol of `factorization_nuclear`, whose solution has a factor of norm one."""
    excess, parts = excesses(n, rank, m, most, generator)
    return Trial(effect=excess[0], parts=parts, figures=(figure(excess),))
