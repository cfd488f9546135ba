"""The popular form: whatever the optimizer, training from zero finds the smallest solution."""

from functools import partial

import torch
from torch import Tensor

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.implicit_bias.least_squares import descend, nearest_solution
from offmap.lab.worlds import gaussian

OPTIMIZERS = {
    "Adam": partial(torch.optim.Adam, lr=0.02),
    "RMSprop": partial(torch.optim.RMSprop, lr=0.02),
    "Adagrad": partial(torch.optim.Adagrad, lr=0.5),
}


@claim(
    says="Whatever the optimizer, least squares trained from zero ends at the solution of smallest "
    "norm: Adam as well.",
    effect="norm of the coefficients that Adam ends with, over the smallest norm of a solution, "
    "less one",
    below=0.01,
    scales={
        "smoke": {"n": 20, "p": 60, "steps": 800},
        "desk": {"n": 100, "p": 300, "steps": 15000},
        "full": {"n": 400, "p": 1200, "steps": 50000},
    },
    seconds={"smoke": 0.2, "desk": 2.0, "full": 60.0},
    paper=Paper("Wilson et al. 2017", "https://arxiv.org/abs/1705.08292"),
    corrected="gd_min_norm",
)
def adam_min_norm(*, n: int, p: int, steps: int, generator: torch.Generator) -> Trial:
    """Fewer examples than coefficients; Adam, RMSprop and Adagrad from zero, on all examples.

    Each number of a weight has a step of its own, so that updates leave the span of the inputs.
    The learning rate falls by a factor of a million, so that the fit is exact in the end.
    """
    x, y = gaussian(n, p, generator=generator), gaussian(n, 1, generator=generator)
    start = torch.zeros(p, 1, dtype=x.dtype)
    smallest = nearest_solution(x, y, start)

    def gradient(b: Tensor, step: int) -> Tensor:
        return x.T @ (x @ b - y)

    decay = 1e-6 ** (1 / steps)
    ways = {
        name: descend(start, gradient, optimizer, steps, marks=50, decay=decay)
        for name, optimizer in OPTIMIZERS.items()
    }
    norms = {name: way.norm(dim=1)[:, 0] / smallest.norm() for name, way in ways.items()}
    span = torch.linalg.pinv(x) @ x
    parts = {}
    for name, way in ways.items():
        end = way[-1]
        parts[f"{name}: excess norm"] = norms[name][-1].item() - 1
        parts[f"{name}: share outside the row space"] = (
            (end - span @ end).norm() / end.norm()
        ).item()
        parts[f"{name}: relative residual"] = ((x @ end - y).norm() / y.norm()).item()
    return Trial(
        effect=parts["Adam: excess norm"],
        parts=parts,
        figures=(
            Curve(
                "Adaptive optimizers end at larger solutions",
                "share of the steps",
                "norm over the smallest of a solution",
                torch.linspace(0.02, 1, 50, dtype=torch.double),
                norms,
            ),
        ),
    )
