"""A network that is stopped before it has learned flipped labels hardly pays for them."""

import torch

from offmap.estimate import exact, replicates
from offmap.figures import Bars
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.manifold.label_noise_networks import (
    errors,
    lookup_error,
    networks,
    noisy_digits,
)
from offmap.lab.data import digits


@claim(
    says="A network stopped early on digits, a fifth of whose labels are flipped, errs on clean "
    "test labels less often than the nearest neighbor, which pays the whole fifth.",
    effect="clean test error of networks stopped early over that of the nearest neighbor",
    below=1.0,
    scales={
        "smoke": {"n": 400, "noise": 0.2, "width": 256, "updates": 12, "repeats": 2},
        "desk": {"n": 1000, "noise": 0.2, "width": 512, "updates": 20, "repeats": 5},
        "full": {"n": 1200, "noise": 0.2, "width": 2048, "updates": 20, "repeats": 10},
    },
    seconds={"smoke": 0.1, "desk": 1.0, "full": 10.0},
    paper=Paper("Arpit et al. 2017", "https://arxiv.org/abs/1706.05394"),
)
def early_stopped_label_noise(
    *, n: int, noise: float, width: int, updates: int, repeats: int, generator: torch.Generator
) -> Trial:
    """The networks of `fitted_network_label_noise` after a few updates of Adam on full batches.

    Parts: how many of the given labels, and of the flipped among them, they have taken on.
    """
    train = noisy_digits(n, noise, generator)
    models = networks(train, width=width, updates=updates, repeats=repeats, generator=generator)
    found = errors(models, digits().test_inputs, digits().test_targets)
    lookup = lookup_error(train)
    off = train.given != train.clean
    parts = {
        "network": found.mean().item(),
        "nearest neighbor": lookup,
        "training error": errors(models, train.inputs, train.given).mean().item(),
        "flipped labels not taken on": errors(models, train.inputs[off], train.given[off])
        .mean()
        .item(),
    }
    bars = {"networks": replicates(found), "nearest neighbor": exact(lookup)}
    return Trial(parts["network"] / lookup, parts, (Bars("Clean test error", "error", bars),))
