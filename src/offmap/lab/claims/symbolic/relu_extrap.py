"""Beyond its last bend a ReLU network is a straight line, whatever it was trained on."""

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.symbolic.rays import EDGE, TARGETS, far_line, learned

TIMES = (1.0, 2.0, 10.0, 1000.0)


@claim(
    says="Along every ray a ReLU network has a last bend, beyond which it is exactly affine.",
    effect="Largest departure from the line that the weights give, at 1 to 1000 times the distance "
    "of the last bend, relative to the largest value there.",
    below=1e-9,
    scales={
        "smoke": {"width": 32, "steps": 60, "networks": 2},
        "desk": {"width": 64, "steps": 500, "networks": 3},
        "full": {"width": 256, "steps": 5000, "networks": 5},
    },
    seconds={"smoke": 0.16, "desk": 2.2, "full": 600},
    paper=Paper(
        "Xu et al. 2021, How neural networks extrapolate: from feedforward to graph neural "
        "networks",
        "https://arxiv.org/abs/2009.11848",
    ),
)
def relu_extrap(*, width: int, steps: int, networks: int, generator: torch.Generator) -> Trial:
    """Networks trained on 2 x, |x|, x^2 and sin x between -2 and 2, along both rays from zero.

    The last bend and the line are computed from the weights, layer by layer, in float64. How far
    out bends lie, in units of where the data end, is among the parts: the theorem does not say
    that a network is straight just beyond its data.

    Args:
        width: Of both hidden layers.
        steps: Of training.
        networks: For each target.
        generator: Source of the weights.
    """
    nets = learned(tuple(TARGETS), width, steps, networks, generator=generator)
    off, bends = [], []
    for net in (net for row in nets.values() for net in row):
        for side in (-1.0, 1.0):
            ray = torch.tensor([side], dtype=torch.double)
            line = far_line(net, torch.zeros_like(ray), ray)
            t = line.bend * torch.tensor(TIMES, dtype=torch.double)[:, None]
            with torch.no_grad():
                values = net(t * ray)
            off.append((values - line.offset - line.slope * t).abs().max() / values.abs().max())
            bends.append(line.bend / EDGE)
    distance = torch.tensor(bends, dtype=torch.double)
    return Trial(
        effect=torch.stack(off).max().item(),
        parts={
            "last bend, median, in units of the data's edge": distance.median().item(),
            "last bend, farthest": distance.max().item(),
            "rays straight from twice the data's edge": (distance <= 2).double().mean().item(),
        },
    )
