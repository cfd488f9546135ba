"""Early stopping is not ridge, but its risk is at most 1.6862 times that of ridge."""

import torch
from jaxtyping import Float
from torch import Tensor

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.implicit_bias.least_squares import flow_maps, ridge_maps, risks
from offmap.lab.worlds import gaussian

WORST = 1.793282  # where ((1 - exp(-x)) (1 + x) / x)^2 is largest


@claim(
    says="At every time t, gradient flow on least squares has at most 1.6862 times the risk of "
    "ridge with the penalty 1/t, whatever the problem.",
    effect="largest ratio of the two risks, over all problems (the hardest one among them) and "
    "times",
    below=1.6862,
    scales={
        "smoke": {"problems": 10, "size": 20, "times": 40},
        "desk": {"problems": 60, "size": 40, "times": 60},
        "full": {"problems": 300, "size": 80, "times": 200},
    },
    seconds={"smoke": 0.2, "desk": 4.0, "full": 200.0},
    paper=Paper("Ali, Kolter and Tibshirani 2018", "https://arxiv.org/abs/1810.10082"),
    published="1.69; derived here: the largest value of ((1 - e^-x)(1 + x)/x)^2 is 1.68591.",
)
def early_stopping_ridge(
    *, problems: int, size: int, times: int, generator: torch.Generator
) -> Trial:
    r"""Flow on :math:`\lVert y - X b \rVert^2 / 2n` from zero against ridge.

    With s an eigenvalue of :math:`X^T X / n` and x = ts, flow keeps a share
    :math:`1 - e^{-x}` of that direction and ridge x / (1 + x). Flow has the smaller bias, and at
    most :math:`\max_x ((1 - e^{-x})(1 + x)/x)^2 = 1.68591` times the variance. Risks are exact:
    both fits are computed as matrices (a matrix exponential, a linear solve), for random designs
    of any aspect and spectrum and any strength of the signal; and for the hardest problem,
    orthonormal inputs and nothing to learn.
    """
    t = torch.logspace(-2, 3, times, dtype=torch.double)
    ratios = []
    for _ in range(problems):
        share, power, strength = torch.rand(3, generator=generator, dtype=torch.double).tolist()
        n, p = size, max(2, int(2 * size * share))  # fewer and more coefficients than examples
        scales = torch.arange(1, p + 1, dtype=torch.double) ** -(2 * power)
        x = gaussian(n, p, generator=generator) * scales
        truth = 10 ** (2 * strength - 1) * gaussian(1, p, generator=generator)[0] / p**0.5
        ratios.append(risk_ratios(x, truth, t))
    square = torch.linalg.qr(gaussian(size, size // 2, generator=generator)).Q * size**0.5
    hardest = risk_ratios(square, torch.zeros(size // 2, dtype=torch.double), torch.tensor([WORST]))
    table = torch.stack(ratios)
    worst = table.amax(dim=0)
    picked = torch.linspace(0, times - 1, min(times, 50)).long()
    return Trial(
        effect=max(table.max().item(), hardest.item()),
        parts={
            "largest ratio, random problems": table.max().item(),
            "median ratio, random problems": table.median().item(),
            "ratio, hardest problem": hardest.item(),
        },
        figures=(
            Curve(
                "Risk of early stopping over that of ridge",
                "time t = 1 / penalty",
                "ratio of risks",
                t[picked],
                {
                    "worst of the random problems": worst[picked],
                    "median": table.median(dim=0).values[picked],
                },
                log_x=True,
            ),
        ),
    )


def risk_ratios(
    x: Float[Tensor, "n p"], truth: Float[Tensor, " p"], times: Float[Tensor, " t"]
) -> Float[Tensor, " t"]:
    """Risk of flow stopped at t over that of ridge with penalty 1/t; noise of variance one."""
    times = times.to(x.dtype)
    return risks(flow_maps(x, times), x, truth, 1.0) / risks(
        ridge_maps(x, 1 / times), x, truth, 1.0
    )
