"""Regularization is said to be anything that makes training harder."""

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.capacity.hardness import OBSTACLES, REGULARIZERS, SCALES, struggle
from offmap.numerics.ranking import spearman

ARMS = {**REGULARIZERS, **OBSTACLES}


@claim(
    says="Regularization is anything that makes training harder: the harder a way to train, the "
    "better the network on new digits.",
    effect="Spearman's correlation, over ten ways to train, of the training loss (mean over "
    "epochs) and the test accuracy",
    above=0.0,
    scales=SCALES,
    seconds={"smoke": 0.6, "desk": 5.0, "full": 400.0},
    paper=Paper("Zhang et al. 2017", "https://arxiv.org/abs/1611.03530"),
    corrected="regularizers_make_training_harder",
)
def harder_training_regularizes(
    *, n: int, repeats: int, width: int, epochs: int, batch_size: int, rate: float,
    generator: torch.Generator,
) -> Trial:  # fmt: skip
    """Ten ways to train for the same number of steps, from the same weights.

    Plain training, five regularizers (weight decay, dropout, little and more noise on inputs,
    noise on activations), and four obstacles that nobody calls regularization: a tenth of the
    learning rate, a first layer that stays as it began, initial weights of 0.3 times the size, and
    the wrong sign on four in ten numbers of every gradient.
    """
    found = struggle(
        ARMS,
        n=n, repeats=repeats, width=width, epochs=epochs, batch_size=batch_size, rate=rate,
        generator=generator,
    )  # fmt: skip
    own = slice(1, 1 + len(REGULARIZERS))
    among = spearman(found.hardness[own], found.held_out[own])
    return Trial(
        effect=spearman(found.hardness, found.held_out).item(),
        parts={
            "correlation of hardness and gap": spearman(found.hardness, found.gap).item(),
            "correlation among regularizers": among.item(),
            **found.parts(ARMS),
        },
        figures=(found.figure,),
    )
