"""Does a ReLU network that learned a square go on with it?"""

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.symbolic.rays import EDGE, TARGETS, learned, relative_error


@claim(
    says="A ReLU network that fits x^2 between -2 and 2 has learned it: it is off by less than a "
    "tenth of the value at distances from 4 to 8.",
    effect="Mean of |error| / |target| at both sides, over networks.",
    below=0.1,
    scales={
        "smoke": {"width": 64, "steps": 200, "networks": 2},
        "desk": {"width": 128, "steps": 1500, "networks": 5},
        "full": {"width": 256, "steps": 5000, "networks": 5},
    },
    seconds={"smoke": 0.5, "desk": 8, "full": 600},
    paper=Paper(
        "Xu et al. 2021, How neural networks extrapolate: from feedforward to graph neural "
        "networks",
        "https://arxiv.org/abs/2009.11848",
    ),
    corrected="relu_extrap",
)
def relu_extrap_square(
    *, width: int, steps: int, networks: int, generator: torch.Generator
) -> Trial:
    """As `relu_extrap_straight`; the error on the data is among the parts.

    The tangent at the edge e, which a straight continuation would follow, is off by
    (1 - e / x)^2: at 4 to 8 with e = 2, by 0.25 to 0.56.

    Args:
        width: Of both hidden layers.
        steps: Of training.
        networks: For each target.
        generator: Source of the weights.
    """
    nets = learned(("x^2",), width, steps, networks, generator=generator)["x^2"]
    x = torch.linspace(-EDGE, EDGE, 101, dtype=torch.double)[:, None]
    with torch.no_grad():
        inside = max((net(x) - TARGETS["x^2"](x)).abs().max().item() for net in nets)
    return Trial(effect=relative_error(nets, "x^2"), parts={"largest error on the data": inside})
