"""Labels that mean nothing take longer to learn, but not much longer."""

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.capacity.memorizing import SCALES, memorize


@claim(
    says="Fitting random labels takes two to eight times as many epochs as fitting true ones.",
    effect="epochs to fit random labels over epochs to fit true ones, geometric mean over networks",
    above=2.0,
    below=8.0,
    scales=SCALES,
    seconds={"smoke": 0.4, "desk": 4.5, "full": 190.0},
    paper=Paper("Zhang et al. 2017", "https://arxiv.org/abs/1611.03530"),
)
def random_labels_cost(
    *, n: int, repeats: int, width: int, epochs: int, batch_size: int, rate: float,
    generator: torch.Generator,
) -> Trial:  # fmt: skip
    """True labels and random ones, side by side.

    Multilayer perceptrons of two hidden layers on digits; a copy with the same initial weights
    sees the same digits in the same order, each with a label drawn once from all ten. The time
    to fit is the first epoch after which every label is right; a network that never gets there
    has none, and the trial fails.
    """
    found = memorize(
        n=n, repeats=repeats, width=width, epochs=epochs, batch_size=batch_size, rate=rate,
        generator=generator,
    )  # fmt: skip
    true, random = found.epochs
    return Trial(
        effect=(random / true).log().mean().exp().item(),
        parts={
            "epochs, true labels": true.mean().item(),
            "epochs, random labels": random.mean().item(),
        },
        figures=(found.figure,),
    )
