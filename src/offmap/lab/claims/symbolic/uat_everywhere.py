"""Does a network that approximates a function do so beyond the interval?"""

import torch

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.symbolic.hinges import (
    LENGTH,
    bound,
    interpolant,
    largest_error,
    wave,
)


@claim(
    says="Networks are universal: one that approximates a periodic function on a period to within "
    "its bound does so on the next period too.",
    effect="Largest error on two periods / the bound that holds on the first; the least over "
    "random waves.",
    below=1 + 1e-9,
    scales={
        "smoke": {"waves": 3, "frequencies": 4, "pieces": 64},
        "desk": {"waves": 100, "frequencies": 8, "pieces": 64},
        "full": {"waves": 1000, "frequencies": 8, "pieces": 64},
    },
    seconds={"smoke": 0.02, "desk": 0.33, "full": 10},
    paper=Paper(
        "Yarotsky 2017, Error bounds for approximations with deep ReLU networks",
        "https://arxiv.org/abs/1610.01145",
    ),
    corrected="uat_constructive",
)
def uat_everywhere(
    *, waves: int, frequencies: int, pieces: int, generator: torch.Generator
) -> Trial:
    """The network of `uat_constructive`, which was given one period of the wave.

    Theorems of universal approximation are about a compact set, here an interval. Beyond the last
    hinge the network goes on along a straight line. The error on the first period alone over the
    bound is among the parts, as the control.

    Args:
        waves: Random targets.
        frequencies: Sines in each.
        pieces: Hidden units.
        generator: Source of the targets.
    """
    targets = [wave(frequencies, generator=generator) for _ in range(waves)]
    nets = [interpolant(target, pieces) for target in targets]
    inside, beyond = (
        [
            largest_error(net, target, pieces, times=times) / bound(target, pieces)
            for net, target in zip(nets, targets, strict=True)
        ]
        for times in (1, 2)
    )
    x = torch.linspace(0, 2 * LENGTH, 61, dtype=torch.double)
    with torch.no_grad():
        drawn = nets[0](x[:, None])[:, 0]
    figure = Curve(
        "Two periods, the first of them given", "x", "y", x,
        {"target": targets[0].at(x), "network": drawn},
    )  # fmt: skip
    return Trial(
        effect=min(beyond), parts={"first period, largest": max(inside)}, figures=(figure,)
    )
