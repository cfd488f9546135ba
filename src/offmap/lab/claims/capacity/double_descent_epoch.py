"""Test risk over training time: two groups of features, learned at two speeds."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from offmap.figures import Curve
from offmap.lab.claim import Paper, Scale, Trial, claim
from offmap.lab.claims.capacity.least_squares import deviation, normal

SIGNAL, NOISE = 1.0, 1.0  # risk of the fast group untrained, and of its noise fitted in full
SPREAD = 9  # times as many features in the fast group as in the slow one: as much more noise
SCALES: Mapping[Scale, Mapping[str, Any]] = {
    "smoke": {"slow": 2, "scale": 0.2, "steps": 1600, "draws": 300},
    "desk": {"slow": 4, "scale": 0.1, "steps": 8000, "draws": 1000},
    "full": {"slow": 10, "scale": 0.05, "steps": 40000, "draws": 1000},
}
RATE = 0.05


@claim(
    says="With a group of features of large scale and one of small scale, the test risk of "
    "gradient descent falls, rises and falls again, exactly as the sum of two U-curves.",
    effect="Largest deviation of the mean risk from the law over 16 times, in standard errors.",
    below=4.0,
    scales=SCALES,
    seconds={"smoke": 0.03, "desk": 1, "full": 10},
    paper=Paper("Heckel & Yilmaz 2021", "https://arxiv.org/abs/2007.10099"),
)
def double_descent_epoch(
    *, slow: int, scale: float, steps: int, draws: int, generator: torch.Generator
) -> Trial:
    r"""Least squares by gradient descent from zero; the columns of X are orthogonal.

    Nine features in ten have the scale s = 1, the others a smaller one; each group has a signal of
    power 1. The noise, fitted in full, costs 1 in the first group and 1/9 in the second. Many draws
    of the noise are trained, and their mean excess risk at step t is compared with

    .. math:: R(t) = \sum_i s_i^2 \theta_i^2 q_i^2 + \frac{\sigma^2}{n} (1 - q_i)^2,
        \qquad q_i = (1 - \eta s_i^2)^t

    In parts, the turning points of the law.
    """
    world = make(slow, scale, generator)
    rate = torch.full_like(world.scales, RATE)
    times = torch.logspace(0, torch.tensor(steps).log10().item(), 16).long().unique()
    risks = descend(world, rate, times, draws, generator)
    law = law_of(world, rate, torch.arange(steps + 1))
    turns = turning_points(law)
    names = ("first valley", "hill between", "second valley")
    heights = {f"risk at the {name}": law[t].item() for name, t in zip(names, turns, strict=True)}
    at = {f"step of the {name}": float(t) for name, t in zip(names, turns, strict=True)}
    return Trial(
        effect=deviation(risks, law[times]).abs().max().item(),
        parts=heights | at,
        figures=(
            Curve(
                "Risk over training time", "step", "mean excess risk", times.double(),
                {"measured": risks.mean(dim=1), "law": law[times]}, log_x=True,
            ),
        ),
    )  # fmt: skip


class World(NamedTuple):
    """A regression: inputs [n d], n = 2 d, the scale of each feature, truth, noise of a target."""

    inputs: Float64[Tensor, "n d"]
    scales: Float64[Tensor, " d"]
    truth: Float64[Tensor, " d"]
    noise: float


def make(slow: int, scale: float, generator: torch.Generator) -> World:
    """The world of these claims: X'X / n is the diagonal matrix of the squared scales.

    Args:
        slow: Features of the small scale; nine times as many have the scale one.
        scale: The small scale.
        generator: Source of inputs and truth.
    """
    fast = SPREAD * slow
    n = 2 * (fast + slow)
    scales = torch.cat([torch.ones(fast), torch.full((slow,), scale)]).double()
    inputs = torch.linalg.qr(normal(n, fast + slow, generator=generator)).Q * n**0.5 * scales
    truth = normal(fast + slow, generator=generator)
    for group in (truth[:fast], truth[fast:]):
        group *= SIGNAL**0.5 / group.norm()
    return World(inputs, scales, truth / scales, (NOISE * n / fast) ** 0.5)


def descend(
    world: World, rate: Float64[Tensor, " d"], times: Int64[Tensor, " k"], draws: int,
    generator: torch.Generator,
) -> Float64[Tensor, "k draws"]:  # fmt: skip
    """Excess risk of gradient descent at some steps, for many draws of the noise.

    Args:
        world: The regression.
        rate: Learning rate of each feature.
        times: Steps, rising.
        draws: Of the noise.
        generator: Source of the noise.
    """
    n, d = world.inputs.shape
    noise = world.noise * normal(n, draws, generator=generator)
    second = world.inputs.mT @ world.inputs / n
    pull = world.inputs.mT @ ((world.inputs @ world.truth)[:, None] + noise) / n
    wanted, found = set(times.tolist()), []
    fit = torch.zeros(d, draws, dtype=torch.double)
    for step in range(int(times[-1]) + 1):
        if step in wanted:
            error = (fit - world.truth[:, None]) * world.scales[:, None]
            found.append(error.square().sum(dim=0))
        fit = fit + rate[:, None] * (pull - second @ fit)
    return torch.stack(found)


def law_of(
    world: World, rate: Float64[Tensor, " d"], times: Int64[Tensor, " k"]
) -> Float64[Tensor, " k"]:
    """Mean excess risk at some steps, over draws of the noise."""
    square = world.scales**2
    left = (1 - rate * square) ** times.double()[:, None]
    fitted_noise = world.noise**2 / len(world.inputs) * (1 - left) ** 2
    return (square * world.truth**2 * left**2 + fitted_noise).sum(dim=1)


def turning_points(values: Float64[Tensor, " k"]) -> list[int]:
    """Places where a curve turns, from falling to rising or back; rounding does not count."""
    step = values.diff()
    moving = (step.abs() > 1e-12 * values.abs().max()).nonzero().flatten()
    turned = (step[moving] > 0).int().diff().nonzero().flatten()
    return (moving[turned] + 1).tolist()
