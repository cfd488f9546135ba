"""Gradient descent on least squares keeps what it started with outside the row space."""

from functools import partial

import torch
from torch import Tensor

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.implicit_bias.least_squares import descend, nearest_solution
from offmap.lab.worlds import gaussian


@claim(
    says="Gradient descent, stochastic gradient descent and momentum on least squares end at the "
    "solution that is nearest to their start: from zero, the one of smallest norm.",
    effect="largest relative distance from X^+ y + (I - X^+ X) start, of three optimizers from "
    "zero and from a random start",
    below=1e-9,
    scales={
        "smoke": {"n": 5, "p": 30, "steps": 1000},
        "desk": {"n": 30, "p": 150, "steps": 30000},
        "full": {"n": 200, "p": 1000, "steps": 150000},
    },
    seconds={"smoke": 0.2, "desk": 3.0, "full": 60.0},
    paper=Paper("Zhang et al. 2016", "https://arxiv.org/abs/1611.03530"),
)
def gd_min_norm(*, n: int, p: int, steps: int, generator: torch.Generator) -> Trial:
    """Fewer examples than coefficients, so that many solutions fit exactly.

    Every gradient is a combination of inputs, so what the start has outside their span stays.
    Descent and momentum see all examples at once and take three tenths of the steps of the
    stochastic one, which sees one. Descent with weight decay, for comparison, forgets its start.
    """
    x, y = gaussian(n, p, generator=generator), gaussian(n, 1, generator=generator).expand(n, 2)
    start = torch.cat([torch.zeros(p, 1, dtype=x.dtype), gaussian(p, 1, generator=generator)], 1)
    rows = torch.randint(n, (steps,), generator=generator).tolist()
    rate = 1 / torch.linalg.matrix_norm(x, 2).item() ** 2
    one = 1 / x.square().sum(1).max().item()

    def full(b: Tensor, step: int) -> Tensor:
        return x.T @ (x @ b - y)

    def single(b: Tensor, step: int) -> Tensor:
        row = x[rows[step]]
        return torch.outer(row, row @ b - y[rows[step]])

    sgd, few = torch.optim.SGD, 3 * steps // 10
    ways = {
        "descent": descend(start, full, partial(sgd, lr=rate), few, marks=25),
        "momentum": descend(start, full, partial(sgd, lr=rate, momentum=0.8), few, marks=25),
        "stochastic": descend(start, single, partial(sgd, lr=one), steps, marks=25),
        "weight decay": descend(
            start, full, partial(sgd, lr=rate, weight_decay=1.0), few, marks=25
        ),
    }
    nearest = nearest_solution(x, y, start)
    gaps = {k: (way - nearest).norm(dim=1) / nearest.norm(dim=0) for k, way in ways.items()}
    ends = {
        f"{name}, {place}": gap[-1, column].item()
        for name, gap in gaps.items()
        for column, place in enumerate(("from zero", "random start"))
    }
    return Trial(
        effect=max(end for name, end in ends.items() if not name.startswith("weight decay")),
        parts=ends,
        figures=(
            Curve(
                "From a random start to the nearest solution",
                "share of the steps",
                "relative distance from the nearest solution",
                torch.linspace(0.04, 1, 25, dtype=torch.double),
                {name: gap[:, 1] for name, gap in gaps.items()},
                log_y=True,
            ),
        ),
    )
