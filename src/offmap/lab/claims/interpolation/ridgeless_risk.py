"""The risk of the smallest fit of zero training loss is known exactly, before n = d and beyond."""

from math import sqrt

import torch
from jaxtyping import Float64
from torch import Tensor

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.worlds import gaussian

NOISE = 0.5  # standard deviation; the teacher has length 1


@claim(
    says="Least squares of smallest norm on n Gaussian examples in d dimensions has the exact risk "
    "s^2 d / (n - d - 1) for d < n - 1 and 1 - n / d + s^2 n / (d - n - 1) for d > n + 1.",
    effect="The largest distance of the mean risk from the law, in standard errors, over ratios of "
    "d to n away from 1",
    below=4.0,
    scales={
        "smoke": {"examples": 40, "ratios": (0.5, 0.8, 1.5, 3.0), "repeats": 40},
        "desk": {"examples": 200, "ratios": (0.1, 0.5, 0.8, 1.25, 2.0, 5.0), "repeats": 50},
        "full": {"examples": 400, "ratios": (0.1, 0.5, 0.8, 1.25, 2.0, 5.0), "repeats": 100},
    },
    seconds={"smoke": 0.1, "desk": 0.7, "full": 6.0},
    paper=Paper("Hastie et al. 2022", "https://arxiv.org/abs/1903.08560"),
)
def ridgeless_risk(
    *, examples: int, ratios: tuple[float, ...], repeats: int, generator: torch.Generator
) -> Trial:
    r"""Fits to y = x b + noise, each with its own data; a risk is the squared error in b.

    Beyond d = n every fit has zero training loss, the largest of which is among the parts. From
    the mean of an inverse Wishart matrix, tr (X^T X)^-1 = d / (n - d - 1), and of a projection on
    n of d dimensions; near d = n the risk has no mean to compare with.
    """
    parts, means, laws = {}, [], []
    worst = unfit = 0.0
    for ratio in ratios:
        d = round(ratio * examples)
        risks, residual = _fits(examples, d, repeats, generator)
        laws.append(law(examples, d))
        means.append(risks.mean().item())
        worst = max(worst, abs(means[-1] - laws[-1]) * sqrt(repeats) / risks.std().item())
        unfit = max(unfit, residual) if d > examples else unfit
        parts |= {f"d / n = {ratio}: measured": means[-1], f"d / n = {ratio}: law": laws[-1]}
    parts["largest training loss beyond d = n"] = unfit
    return Trial(
        worst,
        parts,
        (
            Curve(
                "Risk of least squares of smallest norm", "dimensions over examples", "risk",
                torch.tensor(ratios, dtype=torch.double),
                {"measured": torch.tensor(means), "exact law": torch.tensor(laws)},
                log_x=True,
            ),
        ),
    )  # fmt: skip


def law(examples: int, dimension: int) -> float:
    """The mean risk; the teacher has length 1.

    Raises:
        ValueError: If d is so near to n that there is none.
    """
    if dimension < examples - 1:
        return NOISE**2 * dimension / (examples - dimension - 1)
    if dimension > examples + 1:
        return 1 - examples / dimension + NOISE**2 * examples / (dimension - examples - 1)
    raise ValueError(f"expected |d - n| > 1, got d={dimension} and n={examples}")


def _fits(
    n: int, d: int, repeats: int, generator: torch.Generator
) -> tuple[Float64[Tensor, " repeats"], float]:
    """Risks, and the largest mean squared residual."""
    risks, residual = [], 0.0
    teacher = torch.full((d, 1), 1 / sqrt(d), dtype=torch.double)
    for _ in range(repeats):
        x = gaussian(n, d, generator=generator)
        y = x @ teacher + NOISE * gaussian(n, 1, generator=generator)
        gram = x @ x.T if d > n else x.T @ x
        fit = x.T @ torch.linalg.solve(gram, y) if d > n else torch.linalg.solve(gram, x.T @ y)
        risks.append((fit - teacher).square().sum())
        residual = max(residual, (x @ fit - y).square().mean().item())
    return torch.stack(risks), residual
