"""A network that learns digits can store labels that mean nothing."""

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.capacity.memorizing import SCALES, memorize


@claim(
    says="A network with ten parameters or more for each label fits random labels to the last.",
    effect="training accuracy on random labels, mean over networks",
    above=0.99,
    scales=SCALES,
    seconds={"smoke": 0.4, "desk": 4.6, "full": 190.0},
    paper=Paper("Zhang et al. 2017", "https://arxiv.org/abs/1611.03530"),
)
def random_labels_fit(
    *, n: int, repeats: int, width: int, epochs: int, batch_size: int, rate: float,
    generator: torch.Generator,
) -> Trial:  # fmt: skip
    """True labels and random ones, side by side.

    Multilayer perceptrons of two hidden layers on digits; a copy with the same initial weights
    sees each digit with a label drawn once from all ten. Training stops when all copies have
    fitted every label, or when the epochs have passed.
    """
    found = memorize(
        n=n, repeats=repeats, width=width, epochs=epochs, batch_size=batch_size, rate=rate,
        generator=generator,
    )  # fmt: skip
    true, random = found.fitted.mean(dim=1).tolist()
    return Trial(
        effect=random,
        parts={
            "training accuracy on true labels": true,
            "test accuracy after true labels": found.held_out[0].mean().item(),
            "parameters for each label": found.parameters,
        },
        figures=(found.figure,),
    )
