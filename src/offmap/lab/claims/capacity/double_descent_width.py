"""Test error over the number of features: down, up to infinity at n, and down again."""

import torch
from jaxtyping import Float64
from torch import Tensor

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.capacity.least_squares import deviation, excess_risk, least_norm, normal


@claim(
    says="The test risk of the least-norm fit on the first p of D features follows its exact law "
    "on both sides of the peak at p = n: it falls again beyond n.",
    effect="Largest deviation of the mean risk from the law over all widths, in standard errors.",
    below=4.0,
    scales={
        "smoke": {"n": 20, "widths": (3, 8, 11, 30, 40, 60), "draws": 400, "noise": 0.5},
        "desk": {
            "n": 40, "widths": (5, 10, 15, 20, 25, 30, 50, 55, 60, 70, 80, 100, 150, 200),
            "draws": 1500, "noise": 0.5,
        },
        "full": {
            "n": 100, "widths": (*range(10, 91, 10), *range(110, 201, 10), 300, 400, 600),
            "draws": 400, "noise": 0.5,
        },
    },
    seconds={"smoke": 0.07, "desk": 4, "full": 8},
    paper=Paper("Belkin, Hsu & Xu 2020", "https://arxiv.org/abs/1903.07571"),
)  # fmt: skip
def double_descent_width(
    *, n: int, widths: tuple[int, ...], draws: int, noise: float, generator: torch.Generator
) -> Trial:
    r"""Gaussian inputs of D coordinates, a linear truth of norm one spread evenly over them, noise.

    Of n examples the first p coordinates are used; those left out act as noise. Many independent
    data sets are fitted at each width, and the mean of their exact test risk is compared with

    .. math:: (B_c + \sigma^2) \frac{n-1}{n-p-1} \quad (p \le n-2), \qquad
        B \Big(1-\frac{n}{p}\Big) + (B_c+\sigma^2) \frac{p-1}{p-n-1} \quad (p \ge n+2)

    where B = p / D is the power of the truth in the coordinates used, and B_c = 1 - B. Widths
    within n +- 9 are left out: there the variance of the risk, or its mean, is infinite.
    """
    risks, law = risks_of_widths(n, widths, even(widths[-1]), draws, noise, generator)
    off = deviation(risks, law)
    middle = sum(width < n for width in widths)
    mean = risks.mean(dim=1)
    return Trial(
        effect=off.abs().max().item(),
        parts={
            "risk beside the peak / least risk of a narrow model": (
                torch.stack([mean[middle - 1], mean[middle]]).max() / mean[:middle].min()
            ).item(),
            "risk of the widest model / least risk of a narrow one": (
                mean[-1] / mean[:middle].min()
            ).item(),
        },
        figures=(
            Curve(
                "Test risk over width", "features used", "mean test risk",
                torch.tensor(widths, dtype=torch.double), {"measured": mean, "law": law},
                log_y=True,
            ),
        ),
    )  # fmt: skip


def even(dimension: int) -> Float64[Tensor, " d"]:
    """A truth of norm one, the same in every coordinate."""
    return torch.full((dimension,), dimension**-0.5, dtype=torch.double)


def risks_of_widths(
    n: int, widths: tuple[int, ...], truth: Float64[Tensor, " d"], draws: int, noise: float,
    generator: torch.Generator,
) -> tuple[Float64[Tensor, "widths draws"], Float64[Tensor, " widths"]]:  # fmt: skip
    """Test risk of every fit, its noise included, and the exact mean at each width.

    Args:
        n: Examples.
        widths: How many coordinates are used, from the first on.
        truth: The linear map behind the targets.
        draws: Data sets at each width.
        noise: Standard deviation of the noise of a target.
        generator: Source of the data.
    """
    rows, law = [], []
    for width in widths:
        inputs = normal(draws, n, len(truth), generator=generator)
        targets = inputs @ truth + noise * normal(draws, n, generator=generator)
        used, left = truth[:width], truth[width:].square().sum() + noise**2
        error = least_norm(inputs[..., :width], targets) - used
        rows.append(left + error.square().sum(dim=1))
        excess = excess_risk(n, width, used.square().sum().item(), left.item())
        law.append(left.item() + excess)
    return torch.stack(rows), torch.tensor(law, dtype=torch.double)
