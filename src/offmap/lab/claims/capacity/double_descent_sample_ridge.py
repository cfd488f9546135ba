"""With the right ridge penalty, every further example helps."""

import torch
from jaxtyping import Float64
from torch import Tensor

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.capacity.least_squares import deviation, excess_risk, normal


@claim(
    says="With the ridge penalty p sigma^2 / r^2 the mean risk falls with every step in the number "
    "of examples, also through n = p, where the fit without a penalty has its peak.",
    effect="Smallest fall of the mean risk from one number of examples to the next, in standard "
    "errors of the paired difference.",
    above=4.0,
    scales={
        "smoke": {"p": 20, "sizes": (5, 10, 15, 20, 25, 40, 80), "draws": 600, "noise": 0.5},
        "desk": {
            "p": 100, "sizes": (10, 30, 50, 70, 85, 100, 115, 130, 150, 200, 300, 400),
            "draws": 400, "noise": 0.5,
        },
        "full": {
            "p": 200, "sizes": (20, 60, 100, 140, 170, 200, 230, 260, 300, 400, 600, 800),
            "draws": 400, "noise": 0.5,
        },
    },
    seconds={"smoke": 0.06, "desk": 2, "full": 15},
    paper=Paper("Nakkiran et al. 2020", "https://arxiv.org/abs/2003.01897"),
)  # fmt: skip
def double_descent_sample_ridge(
    *, p: int, sizes: tuple[int, ...], draws: int, noise: float, generator: torch.Generator
) -> Trial:
    r"""Gaussian inputs of p coordinates, a linear truth of norm r = 1, noise of known size.

    Larger samples contain the smaller ones, so differences are paired. Given the inputs X, the mean
    risk over truths is that of the Bayes estimate,

    .. math:: \sigma^2 \,\mathrm{tr}\,(X^T X + \lambda I)^{-1}, \qquad \lambda = p\sigma^2/r^2

    which no further row of X can raise; the fitted risks are compared with it, in standard errors.
    Control: least squares without a penalty, by its exact law.
    """
    risks, bayes = ridge_risks(p, sizes, draws, noise, generator)
    falls = deviation(risks[:-1] - risks[1:], torch.zeros(len(sizes) - 1, dtype=torch.double))
    off = deviation(risks - bayes, torch.zeros(len(sizes), dtype=torch.double))
    n = torch.tensor(sizes, dtype=torch.double)
    return Trial(
        effect=falls.min().item(),
        parts={
            "largest deviation from the risk of the Bayes estimate, in standard errors": (
                off.abs().max().item()
            ),
            "smallest fall of that risk with further rows": (bayes[:-1] - bayes[1:]).min().item(),
            "risk without a penalty at n = 3 p / 4 over that at n = p / 4, law": (
                excess_risk(3 * p // 4, p, 1.0, noise**2) / excess_risk(p // 4, p, 1.0, noise**2)
            ),
        },
        figures=(
            Curve(
                "Risk over examples, tuned ridge", "examples", "mean excess risk", n,
                {"measured": risks.mean(dim=1), "Bayes": bayes.mean(dim=1)}, log_y=True,
            ),
        ),
    )  # fmt: skip


def ridge_risks(
    p: int, sizes: tuple[int, ...], draws: int, noise: float, generator: torch.Generator
) -> tuple[Float64[Tensor, "sizes draws"], Float64[Tensor, "sizes draws"]]:
    """Risk of each ridge fit, and its mean over truths given the inputs.

    Args:
        p: Coordinates.
        sizes: Numbers of examples, rising.
        draws: Data sets, of which each smaller sample is the beginning.
        noise: Standard deviation of the noise of a target.
        generator: Source of the data.
    """
    truth = normal(draws, p, 1, generator=generator)
    truth /= truth.norm(dim=1, keepdim=True)
    inputs = normal(draws, sizes[-1], p, generator=generator)
    targets = inputs @ truth + noise * normal(draws, sizes[-1], 1, generator=generator)
    penalty = p * noise**2 * torch.eye(p, dtype=torch.double)
    risks, bayes = [], []
    for n in sizes:
        x, y = inputs[:, :n], targets[:, :n]
        inverse = torch.linalg.inv(x.mT @ x + penalty)
        risks.append((inverse @ (x.mT @ y) - truth).square().sum(dim=(1, 2)))
        bayes.append(noise**2 * inverse.diagonal(dim1=1, dim2=2).sum(dim=1))
    return torch.stack(risks), torch.stack(bayes)
