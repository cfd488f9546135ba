"""A regularizer that helps on true labels does not keep a network from storing random ones."""

from dataclasses import replace

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.capacity.regularized import ARMS, SCALES, TOGETHER, MOVED, accuracies

ON_RANDOM = {
    name: replace(arm, random_targets=1.0) for name, arm in ARMS.items() if name not in (TOGETHER, MOVED)
}


@claim(
    says="Explicit regularization does not bound what a network stores: with weight decay, with "
    "dropout, and with noise on its inputs it still fits nine in ten random labels.",
    effect="training accuracy on random labels, the least over three regularizers",
    above=0.9,
    scales=SCALES,
    seconds={"smoke": 0.4, "desk": 12.0, "full": 400.0},
    paper=Paper("Zhang et al. 2017", "https://arxiv.org/abs/1611.03530"),
)
def regularization_not_sufficient(
    *, n: int, repeats: int, width: int, epochs: int, batch_size: int, rate: float,
    generator: torch.Generator,
) -> Trial:  # fmt: skip
    """Networks on random labels, plain and with three regularizers, from the same weights.

    Strengths are those at which true labels are learned as well as without, or better (see
    regularization_not_necessary). Labels are drawn once, from all ten alike; accuracy is that on
    the digits as they are, after as many steps as true labels are given.
    """
    _, known, _ = accuracies(
        ON_RANDOM,
        n=n, repeats=repeats, width=width, epochs=epochs, batch_size=batch_size, rate=rate,
        generator=generator,
    )  # fmt: skip
    return Trial(
        effect=min(known.values()),
        parts={f"{name}: training accuracy on random labels": v for name, v in known.items()},
    )
