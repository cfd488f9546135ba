"""Ridge with a vanishing penalty ends in the row space, at the solution of smallest norm."""

import torch
from jaxtyping import Float
from torch import Tensor

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.worlds import gaussian


@claim(
    says="As its penalty goes to zero, ridge tends to the pseudoinverse solution, which lies in "
    "the row space of X; along a singular vector its relative error is penalty / (s^2 + penalty).",
    effect="largest distance of the ridge coefficients from that law, relative to their limit",
    below=1e-9,
    scales={
        "smoke": {"size": 30, "rank": 12},
        "desk": {"size": 200, "rank": 80},
        "full": {"size": 1000, "rank": 400},
    },
    seconds={"smoke": 0.02, "desk": 0.2, "full": 10.0},
    paper=Paper("Hoerl and Kennard 1970", "https://doi.org/10.1080/00401706.1970.10488634"),
)
def ridge_limit_row_space(*, size: int, rank: int, generator: torch.Generator) -> Trial:
    r"""A square X of deficient rank, so that its row and column space can be told apart.

    Ridge is solved as least squares of X stacked on :math:`\sqrt\lambda I`, for penalties from 1
    to 1e-4, and compared with :math:`\sum_i (1 - \lambda / (s_i^2 + \lambda)) v_i v_i^T X^+ y`.
    The fitted values, not the coefficients, tend to the projection of y on the column space.
    """
    x, y = deficient(size, rank, generator)
    _, s, rows = torch.linalg.svd(x)
    s, rows = s[:rank], rows[:rank]
    limit = torch.linalg.pinv(x, rtol=1e-10) @ y
    penalties = torch.logspace(0, -4, 13, dtype=torch.double)
    paths = torch.stack([ridge(x, y, penalty) for penalty in penalties.tolist()])
    kept = 1 - penalties[:, None] / (s.square() + penalties[:, None])
    law = (kept * (rows @ limit)) @ rows
    gap = (paths - limit).norm(dim=1) / limit.norm()
    last = paths[-1]
    return Trial(
        effect=((paths - law).norm(dim=1) / limit.norm()).max().item(),
        parts={
            "share outside the row space": outside(last, x.T),
            "share outside the column space": outside(last, x),
            "distance from the limit, penalty 1e-4": gap[-1].item(),
        },
        figures=(
            Curve(
                "Ridge tends to the solution of smallest norm",
                "penalty",
                "relative distance",
                penalties,
                {"from the pseudoinverse solution": gap},
                log_x=True,
                log_y=True,
            ),
        ),
    )


def deficient(
    size: int, rank: int, generator: torch.Generator
) -> tuple[Float[Tensor, "n n"], Float[Tensor, " n"]]:
    """A random square matrix of a rank, and random targets."""
    left, right = (gaussian(size, rank, generator=generator) for _ in range(2))
    return left @ right.T / size, gaussian(1, size, generator=generator)[0]


def ridge(x: Float[Tensor, "n p"], y: Float[Tensor, " n"], penalty: float) -> Float[Tensor, " p"]:
    """Ridge as plain least squares with rows of the penalty, which is better conditioned."""
    p = x.shape[1]
    rows = torch.cat([x, penalty**0.5 * torch.eye(p, dtype=x.dtype)])
    values = torch.cat([y, torch.zeros(p, dtype=y.dtype)])
    return torch.linalg.lstsq(rows, values[:, None]).solution[:, 0]


def outside(b: Float[Tensor, " n"], columns: Float[Tensor, "n m"]) -> float:
    """Share of the norm of b that is outside the span of the columns."""
    left, s, _ = torch.linalg.svd(columns)
    basis = left[:, : int((s > 1e-10 * s[0]).sum())]
    return ((b - basis @ (basis.T @ b)).norm() / b.norm()).item()
