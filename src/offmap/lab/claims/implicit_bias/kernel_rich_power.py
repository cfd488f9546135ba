"""How fast the l1 norm is reached as the initial scale of a diagonal linear network vanishes."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.implicit_bias.diagonal import Design, Vector, smallest, smallest_l1


@claim(
    says="As the initial scale alpha of a diagonal linear network vanishes, the excess of its l1 "
    "norm falls like a power of alpha, twice the smallest dual slack of the l1 program.",
    effect="measured exponent over twice the slack, less one, as a magnitude",
    below=0.05,
    scales={
        "smoke": {"n": 12, "d": 40},
        "desk": {"n": 60, "d": 200},
        "full": {"n": 150, "d": 500},
    },
    seconds={"smoke": 0.02, "desk": 0.1, "full": 2.0},
    paper=Paper("Woodworth et al. 2020", "https://arxiv.org/abs/2002.09277"),
)
def kernel_rich_power(*, n: int, d: int, generator: torch.Generator) -> Trial:
    r"""Random targets, so that the l1 program has one solution, with n nonzero numbers.

    A coefficient that is zero there is :math:`2 \alpha^2 \sinh(x_i^T \nu)`, and
    :math:`x_i^T \nu` grows like :math:`2 (1 - \delta_i) \log(1/\alpha)` with the slack
    :math:`\delta_i` of its dual constraint: it falls like :math:`\alpha^{2 \delta_i}`. Derived
    here; the paper bounds the scale that suffices. The exponent is read between the two scales
    where that power is 1e-10 and 1e-20. Slacks are often a few hundredths, so that the fall is
    slow where people look: at 0.001 the excess is still about a hundredth.
    """
    world = draw(n, d, generator)
    log_scales = np.linspace(0, np.log(1e-20) / (2 * world.slack), 11)
    excess = world.excess(log_scales)
    exponent = np.log(excess[10] / excess[5]) / (log_scales[10] - log_scales[5])
    usual = world.excess(np.log([1e-3, 1e-6, 1e-12]))
    return Trial(
        effect=float(abs(exponent / (2 * world.slack) - 1)),
        parts={
            "exponent": float(exponent),
            "smallest slack": world.slack,
            "excess at 1e-3": float(usual[0]),
            "excess at 1e-6": float(usual[1]),
            "excess at 1e-12": float(usual[2]),
        },
        figures=(
            Curve(
                "The l1 norm of a diagonal network, as its start vanishes",
                "twice the slack times log10 of 1 / initial scale",
                "excess of the l1 norm",
                torch.linspace(0, 20, 11, dtype=torch.double),
                {
                    "measured": torch.tensor(excess),
                    "power law": excess[10] * torch.logspace(20, 0, 11, dtype=torch.double),
                },
                log_y=True,
            ),
        ),
    )


class World(NamedTuple):
    """A problem with its solution of smallest l1 norm, of which it knows how unique it is."""

    x: Design
    y: Vector
    l1: float
    dual: Vector  # X'nu of the linear program
    zero: np.ndarray  # which numbers of the solution are
    slack: float

    def excess(self, log_scales: Float[np.ndarray, " t"]) -> Float[np.ndarray, " t"]:
        """Of the l1 norm over the smallest, relative, by the logarithm of the initial scale.

        By duality it is a sum of positive terms, so that 1e-20 is read as well as 0.1: of the
        numbers that are zero in the solution, and of those that differ from it in sign.
        """
        beta = smallest(self.x, self.y, log_scales.tolist())
        terms = np.abs(beta) - beta * self.dual
        return terms.sum(axis=1, where=self.zero | (beta * self.dual < 0)) / self.l1


def draw(n: int, d: int, generator: torch.Generator) -> World:
    """Normal inputs and targets."""
    rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
    x, y = rng.standard_normal((n, d)), rng.standard_normal(n)
    beta, dual = smallest_l1(x, y)
    zero = np.abs(beta) < 1e-9
    return World(x, y, float(np.abs(beta).sum()), dual, zero, float((1 - np.abs(dual))[zero].min()))
