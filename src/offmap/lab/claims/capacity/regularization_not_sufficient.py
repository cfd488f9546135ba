"""Does a regularizer that is good for true labels keep a network from storing random ones?"""

from dataclasses import replace

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.capacity.regularized import ALONE, SCALES, accuracies

ON_RANDOM = {name: replace(arm, random_targets=1.0) for name, arm in ALONE.items()}


@claim(
    says="No explicit regularizer bounds what a network stores: with weight decay, with dropout, "
    "and with noise on its inputs it still fits nine in ten random labels in as many steps as it "
    "takes to learn true ones.",
    effect="training accuracy on random labels, the least over three regularizers",
    above=0.9,
    scales=SCALES,
    seconds={"smoke": 0.2, "desk": 2.1, "full": 110.0},
    paper=Paper("Zhang et al. 2017", "https://arxiv.org/abs/1611.03530"),
    corrected="dropout_hinders_storing",
)
def regularization_not_sufficient(
    *, n: int, repeats: int, width: int, epochs: int, batch_size: int, rate: float,
    generator: torch.Generator,
) -> Trial:  # fmt: skip
    """Random labels, without and with each of three regularizers.

    Networks of two hidden layers learn digits whose labels were drawn once, from all ten alike,
    plainly and with each regularizer, from the same initial weights. Strengths are those at which
    true labels are learned as well as without, or better (see regularization_not_necessary), and
    training takes as many steps as there.
    """
    found = accuracies(
        ON_RANDOM,
        n=n, repeats=repeats, width=width, epochs=epochs, batch_size=batch_size, rate=rate,
        generator=generator,
    )  # fmt: skip
    return Trial(
        effect=min(found.known.values()),
        parts={f"{name}: random labels fitted": value for name, value in found.known.items()},
        figures=(found.stored,),
    )
