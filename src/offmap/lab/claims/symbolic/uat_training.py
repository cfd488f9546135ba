"""Training finds a worse network than the one that can be written down."""

from math import exp, log

import torch
from torch.nn.functional import mse_loss
from torch.optim.lr_scheduler import CosineAnnealingLR

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.symbolic.hinges import LENGTH, interpolant, largest_error, sine
from offmap.lab.claims.symbolic.networks import sources
from offmap.models.mlp import MLP
from offmap.run import Recipe, Split
from offmap.train import ensemble_trainer

POINTS = 256


@claim(
    says="A trained network's largest error on a sine is at least twice that of the network of the "
    "same width that can be written down.",
    effect="Largest error of trained networks, geometric mean, over that of the interpolating one; "
    "the least over widths.",
    above=2.0,
    scales={
        "smoke": {"widths": (32,), "steps": 200, "networks": 3},
        "desk": {"widths": (8, 16, 32, 64), "steps": 2000, "networks": 10},
        "full": {"widths": (8, 16, 32, 64), "steps": 20_000, "networks": 20},
    },
    seconds={"smoke": 0.25, "desk": 8, "full": 150},
    paper=Paper(
        "Yarotsky 2017, Error bounds for approximations with deep ReLU networks",
        "https://arxiv.org/abs/1610.01145",
    ),
)
def uat_training(
    *, widths: tuple[int, ...], steps: int, networks: int, generator: torch.Generator
) -> Trial:
    """What a network of this width can express, and what Adam finds of it.

    One hidden ReLU layer; 256 points of the sine on [0, 2 pi], all in every step; squared error;
    a rate that falls from 0.01 to 0 along a cosine. The input is scaled to [-1, 1] for training.

    Args:
        widths: Hidden units.
        steps: Of training.
        networks: Trained at once for each width.
        generator: Source of the weights.
    """
    target = sine()
    x = torch.linspace(-1, 1, POINTS, dtype=torch.double)[:, None]
    split = Split(x, target.at((x[:, 0] + 1) * LENGTH / 2)[:, None])
    written, trained = [], []
    for width in widths:
        recipe = Recipe(
            lambda width=width: MLP(1, (width,), 1).double(),
            lambda weights: torch.optim.Adam(weights, lr=1e-2),
            mse_loss, steps, POINTS, CosineAnnealingLR,
        )  # fmt: skip
        nets = ensemble_trainer(recipe)(split, sources(networks, generator))
        errors = [largest_error(unscaled(net), target, width) for net in nets]
        trained.append(exp(sum(map(log, errors)) / networks))
        written.append(largest_error(interpolant(target, width), target, width))
    ratios = [one / other for one, other in zip(trained, written, strict=True)]
    figure = Curve(
        "The sine, by training and by hand", "hidden units", "largest error",
        torch.tensor(widths, dtype=torch.double),
        {name: torch.tensor(row) for name, row in (("trained", trained), ("written", written))},
        log_x=True, log_y=True,
    )  # fmt: skip
    return Trial(
        effect=min(ratios),
        parts={f"{n} units, ratio": ratio for n, ratio in zip(widths, ratios, strict=True)},
        figures=(figure,),
    )


def unscaled(network: torch.nn.Module) -> torch.nn.Module:
    """The network as a function on [0, 2 pi]."""
    with torch.random.fork_rng(devices=[]):  # what it is born with is replaced
        scale = torch.nn.Linear(1, 1, dtype=torch.double)
    with torch.no_grad():
        scale.weight.fill_(2 / LENGTH)
        scale.bias.fill_(-1.0)
    return torch.nn.Sequential(scale, network)
