"""A ReLU network that learned a linear function goes on with it."""

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.symbolic.rays import learned, relative_error


@claim(
    says="A ReLU network trained on 2 x between -2 and 2 is off by less than a tenth of the value "
    "at distances from 4 to 8.",
    effect="Mean of |error| / |target| at both sides, over networks.",
    below=0.1,
    scales={
        "smoke": {"width": 64, "steps": 250, "networks": 4},
        "desk": {"width": 128, "steps": 1500, "networks": 5},
        "full": {"width": 256, "steps": 5000, "networks": 5},
    },
    seconds={"smoke": 0.8, "desk": 7.2, "full": 600},
    paper=Paper(
        "Xu et al. 2021, How neural networks extrapolate: from feedforward to graph neural "
        "networks",
        "https://arxiv.org/abs/2009.11848",
    ),
)
def relu_extrap_linear(
    *, width: int, steps: int, networks: int, generator: torch.Generator
) -> Trial:
    """As `relu_extrap_straight`; the worst of the networks is among the parts.

    Args:
        width: Of both hidden layers.
        steps: Of training.
        networks: For each target.
        generator: Source of the weights.
    """
    nets = learned(("2 x",), width, steps, networks, generator=generator)
    errors = [relative_error([net], "2 x") for net in nets["2 x"]]
    return Trial(effect=sum(errors) / networks, parts={"worst network": max(errors)})
