"""A trained ReLU network is straight not far beyond its data."""

import torch

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.symbolic.rays import TARGETS, far_points, learned


@claim(
    says="Networks trained on 2 x, |x|, x^2 and sin x between -2 and 2 are all straight lines "
    "between 4 and 8, and between -8 and -4: an affine fit explains more than 99.9 %.",
    effect="R^2 of an affine fit to the network's answers there; the least over targets and sides, "
    "mean over networks.",
    above=0.999,
    scales={
        "smoke": {"width": 64, "steps": 200, "networks": 1},
        "desk": {"width": 128, "steps": 1000, "networks": 2},
        "full": {"width": 256, "steps": 5000, "networks": 5},
    },
    seconds={"smoke": 0.5, "desk": 7.1, "full": 600},
    paper=Paper(
        "Xu et al. 2021, How neural networks extrapolate: from feedforward to graph neural "
        "networks",
        "https://arxiv.org/abs/2009.11848",
    ),
)
def relu_extrap_straight(
    *, width: int, steps: int, networks: int, generator: torch.Generator
) -> Trial:
    """Two hidden layers, Adam on squared error until the rate has fallen to 0.

    That there is a last bend is a theorem (`relu_extrap`); that it lies near the data, or that
    bends beyond are faint, is what training does.

    Args:
        width: Of both hidden layers.
        steps: Of training.
        networks: For each target.
        generator: Source of the weights.
    """
    nets = learned(tuple(TARGETS), width, steps, networks, generator=generator)
    parts: dict[str, float] = {}
    for name, row in nets.items():
        with torch.no_grad():
            fits = [
                torch.stack([_straightness(far_points(side), net(far_points(side))) for net in row])
                for side in (-1, 1)
            ]
        parts[f"R^2, {name}"] = torch.stack(fits).mean(dim=1).min().item()
    x = torch.linspace(-8, 8, 37, dtype=torch.double)
    with torch.no_grad():
        drawn = {f"trained on {name}": nets[name][0](x[:, None])[:, 0] for name in ("x^2", "sin x")}
    figure = Curve(
        "Beyond the data, which end at -2 and 2", "x", "y", x,
        drawn | {"sin x": TARGETS["sin x"](x)},
    )  # fmt: skip
    return Trial(effect=min(parts.values()), parts=parts, figures=(figure,))


def _straightness(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Share of the variance of y that the best affine function of x explains."""
    return torch.corrcoef(torch.cat([x, y], dim=1).T)[0, 1].square()
