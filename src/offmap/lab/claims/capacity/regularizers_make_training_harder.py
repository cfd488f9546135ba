"""Regularizers make training harder; the converse is what does not hold."""

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.capacity.hardness import REGULARIZERS, SCALES, struggle


@claim(
    says="Every regularizer makes training harder: with each of five the training loss, mean over "
    "epochs, is higher than without.",
    effect="least, over five regularizers, of log of (training loss, mean over epochs, over that "
    "of plain training)",
    above=0.0,
    scales=SCALES,
    seconds={"smoke": 0.3, "desk": 2.5, "full": 200.0},
    paper=Paper("Arpit et al. 2017", "https://arxiv.org/abs/1706.05394"),
)
def regularizers_make_training_harder(
    *, n: int, repeats: int, width: int, epochs: int, batch_size: int, rate: float,
    generator: torch.Generator,
) -> Trial:  # fmt: skip
    """Plain training and five regularizers, for the same number of steps from the same weights.

    Weight decay, dropout, little and more noise on inputs, and noise on activations. The loss is
    read after each epoch on the examples as they are, without noise or penalty.
    """
    found = struggle(
        REGULARIZERS,
        n=n, repeats=repeats, width=width, epochs=epochs, batch_size=batch_size, rate=rate,
        generator=generator,
    )  # fmt: skip
    harder = (found.hardness[1:] / found.hardness[0]).log()
    return Trial(
        effect=harder.min().item(),
        parts=found.parts(REGULARIZERS),
        figures=(found.figure,),
    )
