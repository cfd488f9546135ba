"""Where measurements are entries, descent from a small start finds the lowest rank instead."""

import numpy as np
import torch

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.implicit_bias.factorization import (
    completion_problem,
    descend,
    least_trace,
    random_start,
)


@claim(
    says="Given three entries of a 3 x 3 matrix, gradient descent on U U' from a small start ends "
    "at the completion of lowest rank, not at that of least nuclear norm.",
    effect="second over first eigenvalue from the smallest start",
    below=0.01,
    scales={
        "smoke": {"smallest": 1e-4, "most": 30_000},
        "desk": {"smallest": 1e-6, "most": 200_000},
        "full": {"smallest": 1e-8, "most": 1_000_000},
    },
    seconds={"smoke": 0.1, "desk": 0.5, "full": 3.0},
    paper=Paper("Li, Luo and Lyu 2021", "https://arxiv.org/abs/2012.09839"),
)
def factorization_lowest_rank(*, smallest: float, most: int, generator: torch.Generator) -> Trial:
    """Entries (1, 2) and (1, 3) are about one, (2, 3) about a fifth; the diagonal is free.

    Derived here: entries p, q, r off the diagonal have one completion of rank one, with the
    diagonal pq/r, pr/q, qr/p. For p = q = 1 and r < 1/2 the least trace is 4 - 2r, of rank two,
    and that of rank one 1/r + 2r. Descent from a small start grows one direction first, and
    that fits all three entries.
    """
    trial = complete(smallest, most, generator)
    return Trial(trial["second over first eigenvalue"][-1], last(trial), (figure(trial),))


def complete(smallest: float, most: int, generator: torch.Generator) -> dict[str, list[float]]:
    """Descent from starts of several norms, down to the smallest."""
    rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
    a, y = completion_problem(rng)
    _, least, bound = least_trace(a, y)
    p, q, r = y
    norms = np.logspace(0, np.log10(smallest), 9)
    ends = [descend(a, y, random_start(3, norm, rng), rate=0.2, most=most) for norm in norms]
    eigenvalues = [np.linalg.eigvalsh(end.matrix) for end in ends]
    return {
        "norm of the start": norms.tolist(),
        "excess of the nuclear norm": [float(e.sum() / least - 1) for e in eigenvalues],
        "second over first eigenvalue": [float(e[1] / e[2]) for e in eigenvalues],
        "excess of rank one": [float((p * q / r + p * r / q + q * r / p) / least - 1)],
        "gap between the bounds of the least": [1 - bound / least],
        "residual": [end.residual for end in ends],
    }


def last(trial: dict[str, list[float]]) -> dict[str, float]:
    """Of the smallest start."""
    return {name: values[-1] for name, values in trial.items()}


def figure(trial: dict[str, list[float]]) -> Curve:
    """Rank and nuclear norm by norm of the start."""
    names = ("excess of the nuclear norm", "second over first eigenvalue")
    return Curve(
        "A small start finds the lowest rank, not the least norm",
        "norm of the start",
        "relative",
        torch.tensor(trial["norm of the start"], dtype=torch.double),
        {name: torch.tensor(trial[name], dtype=torch.double) for name in names},
        log_x=True,
    )
