"""Test error over the number of examples: it can rise as data come in."""

import torch
from jaxtyping import Float64
from torch import Tensor

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.capacity.least_squares import deviation, excess_risk, least_norm, normal


@claim(
    says="The excess risk of the least-norm fit in p dimensions follows its exact law in the "
    "number of examples n: it rises as n comes near p, and falls beyond.",
    effect="Largest deviation of the mean excess risk from the law over all n, in standard errors.",
    below=4.0,
    scales={
        "smoke": {"p": 40, "sizes": (10, 20, 30, 50, 60, 120), "draws": 300, "noise": 0.5},
        "desk": {
            "p": 100, "sizes": (10, 30, 50, 60, 70, 80, 90, 112, 120, 130, 150, 200, 300, 400),
            "draws": 300, "noise": 0.5,
        },
        "full": {
            "p": 200, "sizes": (*range(20, 191, 10), *range(210, 401, 10), 500, 600, 800),
            "draws": 400, "noise": 0.5,
        },
    },
    seconds={"smoke": 0.1, "desk": 2, "full": 20},
    paper=Paper("Nakkiran 2019", "https://arxiv.org/abs/1912.07242"),
)  # fmt: skip
def double_descent_sample(
    *, p: int, sizes: tuple[int, ...], draws: int, noise: float, generator: torch.Generator
) -> Trial:
    r"""Gaussian inputs of p coordinates, a linear truth of norm one, noise of known size.

    Many independent data sets of each size are fitted by least squares of least norm, and the mean
    of |fit - truth|^2 is compared with

    .. math:: 1-\frac{n}{p} + \sigma^2\frac{n}{p-n-1} \quad (n \le p-2), \qquad
        \sigma^2 \frac{p}{n-p-1} \quad (n \ge p+2)

    Sizes within p +- 9 are left out: there the variance of the risk, or its mean, is infinite.
    """
    risks, law = risks_of_sizes(p, sizes, draws, noise, generator)
    mean = risks.mean(dim=1)
    before = sum(size < p for size in sizes)
    return Trial(
        effect=deviation(risks, law).abs().max().item(),
        parts={
            "risk just before n = p / least risk with fewer examples": (
                mean[before - 1] / mean[:before].min()
            ).item(),
            "risk of the largest n": mean[-1].item(),
        },
        figures=(
            Curve(
                "Risk over examples", "examples", "mean excess risk",
                torch.tensor(sizes, dtype=torch.double), {"measured": mean, "law": law},
                log_y=True,
            ),
        ),
    )  # fmt: skip


def risks_of_sizes(
    p: int, sizes: tuple[int, ...], draws: int, noise: float, generator: torch.Generator
) -> tuple[Float64[Tensor, "sizes draws"], Float64[Tensor, " sizes"]]:
    """Excess risk of every fit, and its exact mean for each number of examples.

    Args:
        p: Coordinates.
        sizes: Numbers of examples.
        draws: Data sets of each size.
        noise: Standard deviation of the noise of a target.
        generator: Source of the data.
    """
    rows, law = [], []
    for n in sizes:
        truth = normal(p, generator=generator)
        truth /= truth.norm()
        inputs = normal(draws, n, p, generator=generator)
        targets = inputs @ truth + noise * normal(draws, n, generator=generator)
        rows.append((least_norm(inputs, targets) - truth).square().sum(dim=1))
        law.append(excess_risk(n, p, 1.0, noise**2))
    return torch.stack(rows), torch.tensor(law, dtype=torch.double)
