"""The popular form: the l1 norm is reached only like 1 / log(1 / alpha)."""

import numpy as np
import torch

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.implicit_bias.kernel_rich_power import draw


@claim(
    says="As the initial scale alpha of a diagonal linear network vanishes, its l1 norm reaches "
    "the smallest only like 1 / log(1 / alpha): squaring alpha halves the excess.",
    effect="excess of the l1 norm at alpha^2 over that at alpha, for an alpha far down",
    above=0.4,
    scales={
        "smoke": {"n": 12, "d": 40},
        "desk": {"n": 60, "d": 200},
        "full": {"n": 150, "d": 500},
    },
    seconds={"smoke": 0.02, "desk": 0.1, "full": 2.0},
    paper=Paper("Woodworth et al. 2020", "https://arxiv.org/abs/2002.09277"),
    corrected="kernel_rich_power",
)
def kernel_rich_log(*, n: int, d: int, generator: torch.Generator) -> Trial:
    r"""The problem of `kernel_rich_power`; alpha is where :math:`\alpha^{2 \delta}` is 1/1000.

    A fall like 1 / log gives 1/2 at any alpha, the power law 1/1000. That alpha has to be
    exponentially small in the accuracy is what suffices for every problem; for one problem with
    one solution it has not.
    """
    world = draw(n, d, generator)
    log_scale = np.log(1e-3) / (2 * world.slack)
    share = np.linspace(0.2, 2, 10)
    excess = world.excess(share * log_scale)
    return Trial(
        effect=float(excess[-1] / excess[4]),
        parts={"log10 of alpha": float(log_scale / np.log(10)), "excess there": float(excess[4])},
        figures=(
            Curve(
                "The l1 norm of a diagonal network, as its start vanishes",
                "log(1 / initial scale), as a share of that of alpha",
                "excess of the l1 norm",
                torch.tensor(share),
                {"measured": torch.tensor(excess), "1 / log": torch.tensor(excess[4] / share)},
                log_y=True,
            ),
        ),
    )
