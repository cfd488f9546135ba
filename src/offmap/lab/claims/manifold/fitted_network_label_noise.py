"""Does a network that learns flipped labels by heart pay less for them than a lookup does?"""

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
    says="A network that fits every label of the digits, a fifth of them flipped, errs on clean "
    "test labels less often than the nearest neighbor, which pays the whole fifth.",
    effect="clean test error of networks with no training error over that of the nearest neighbor",
    below=1.0,
    scales={
        "smoke": {"n": 200, "noise": 0.2, "width": 256, "updates": 120, "repeats": 2},
        "desk": {"n": 1000, "noise": 0.2, "width": 512, "updates": 500, "repeats": 2},
        "full": {"n": 1200, "noise": 0.2, "width": 2048, "updates": 2000, "repeats": 5},
    },
    seconds={"smoke": 0.4, "desk": 6.0, "full": 300.0},
    paper=Paper("Zhang et al. 2017", "https://arxiv.org/abs/1611.03530"),
)
def fitted_network_label_noise(
    *, n: int, noise: float, width: int, updates: int, repeats: int, generator: torch.Generator
) -> Trial:
    """Networks of one hidden layer on n digits, full batches of Adam, until labels are fitted.

    The effect is taken only where every network fits every label; otherwise the trial fails. It
    depends on n: smoke scale has 200 digits, the others 1,000 and more.

    Raises:
        ValueError: If a network does not.
    """
    train = noisy_digits(n, noise, generator)
    models = networks(train, width=width, updates=updates, repeats=repeats, generator=generator)
    unfitted = errors(models, train.inputs, train.given)
    if bool(unfitted.any()):
        raise ValueError(f"expected every label to be fitted, got the errors {unfitted.tolist()}")
    found = errors(models, digits().test_inputs, digits().test_targets)
    lookup = lookup_error(train)
    parts = {
        "network": found.mean().item(),
        "nearest neighbor": lookup,
        "share of labels flipped": (train.given != train.clean).double().mean().item(),
    }
    bars = {"networks": replicates(found), "nearest neighbor": exact(lookup)}
    return Trial(parts["network"] / lookup, parts, (Bars("Clean test error", "error", bars),))
