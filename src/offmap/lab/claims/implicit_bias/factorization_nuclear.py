"""From a small start, descent on a factor finds the matrix of least nuclear norm."""

import numpy as np
import torch

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.implicit_bias.factorization import (
    descend,
    gaussian_problem,
    least_trace,
    random_start,
)

STARTS = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)


@claim(
    says="From a small start, gradient descent on U U' with normal measurements ends within half a "
    "percent of the least nuclear norm, though U could have any rank.",
    effect="nuclear norm from a start of norm 0.001 over the least, less one",
    below=0.005,
    scales={
        "smoke": {"n": 8, "rank": 1, "m": 20, "most": 4000},
        "desk": {"n": 20, "rank": 2, "m": 120, "most": 50_000},
        "full": {"n": 40, "rank": 3, "m": 350, "most": 100_000},
    },
    seconds={"smoke": 0.2, "desk": 6.0, "full": 120.0},
    paper=Paper("Gunasekar et al. 2017", "https://arxiv.org/abs/1705.09280"),
)
def factorization_nuclear(
    *, n: int, rank: int, m: int, most: int, generator: torch.Generator
) -> Trial:
    """A random matrix of low rank and trace one, fewer measurements than entries, no noise.

    The least nuclear norm (of a positive semidefinite matrix, its trace) is known from both sides:
    by alternating directions, and by the dual program. The norm of the start is that of U.
    """
    excess, parts = excesses(n, rank, m, most, generator)
    return Trial(effect=excess[-1], parts=parts, figures=(figure(excess),))


def excesses(
    n: int, rank: int, m: int, most: int, generator: torch.Generator
) -> tuple[list[float], dict[str, float]]:
    """Trace over the least, less one, by norm of the start; and what explains it."""
    rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
    a, y = gaussian_problem(n, rank, m, rng)
    _, least, bound = least_trace(a, y)
    ends = [descend(a, y, random_start(n, norm, rng), most=most) for norm in STARTS]
    excess = [float(np.trace(end.matrix)) / least - 1 for end in ends]
    parts = {f"start {norm:g}": value for norm, value in zip(STARTS, excess, strict=True)}
    parts["gap between the bounds of the least"] = 1 - bound / least
    parts["largest residual"] = max(end.residual for end in ends)
    return excess, parts


def figure(excess: list[float]) -> Curve:
    """Excess by norm of the start."""
    return Curve(
        "The start decides how small the solution is",
        "norm of the start",
        "nuclear norm over the least, less one",
        torch.tensor(STARTS, dtype=torch.double),
        {"": torch.tensor(excess, dtype=torch.double)},
        log_x=True,
    )
