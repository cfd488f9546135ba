"""The remedy for double descent in time: a learning rate for each scale of the features."""

import torch
from jaxtyping import Float64
from torch import Tensor

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.capacity.double_descent_epoch import (
    NOISE,
    RATE,
    SCALES,
    SIGNAL,
    SPREAD,
    World,
    descend,
    law_of,
    make,
    turning_points,
)

VALLEY = 14  # the step at which both groups are to be at their best


@claim(
    says="Learning rates that bring both groups of features to their best at the same step leave "
    "one valley instead of two, at 6/11 of the risk of the deeper of the two.",
    effect="Least mean risk with a rate for each group over the least with one rate for all.",
    below=0.6,
    scales=SCALES,
    seconds={"smoke": 0.05, "desk": 2, "full": 20},
    paper=Paper("Heckel & Yilmaz 2021", "https://arxiv.org/abs/2007.10099"),
)
def double_descent_epoch_paced(
    *, slow: int, scale: float, steps: int, draws: int, generator: torch.Generator
) -> Trial:
    r"""The regression of double_descent_epoch, trained with one rate for all and with two rates.

    A group of signal S, whose noise fitted in full costs N, has its least risk S N / (S + N) where
    its error has shrunk to the share q = N / (S + N). Rates are set to be there at step 14,

    .. math:: \eta_i = (1 - q_i^{1/14}) / s_i^2

    so that the least risk is 1/2 + 1/10; with one rate for all the slow group is at its best when
    the fast one is fitted in full: 1 + 1/10.
    """
    world = make(slow, scale, generator)
    rates = {"one rate": torch.full_like(world.scales, RATE), "paced": paced(world)}
    spread = torch.logspace(0, torch.tensor(steps).log10().item(), 24).long()
    times = torch.cat([spread, torch.arange(10, 20)]).unique()
    series, turns = {}, {}
    for name, rate in rates.items():
        series[name] = descend(world, rate, times, draws, generator).mean(dim=1)
        turns[name] = float(len(turning_points(law_of(world, rate, torch.arange(steps + 1)))))
    return Trial(
        effect=(series["paced"].min() / series["one rate"].min()).item(),
        parts={f"turns of the law, {name}": count for name, count in turns.items()}
        | {f"least risk, {name}": found.min().item() for name, found in series.items()},
        figures=(
            Curve(
                "Risk over training time, one rate and two", "step", "mean excess risk",
                times.double(), series, log_x=True,
            ),
        ),
    )  # fmt: skip


def paced(world: World) -> Float64[Tensor, " d"]:
    """The rate of each feature."""
    cost = torch.where(world.scales == 1, NOISE, NOISE / SPREAD)
    left = cost / (SIGNAL + cost)
    return (1 - left ** (1 / VALLEY)) / world.scales**2
