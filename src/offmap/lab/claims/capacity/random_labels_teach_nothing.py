"""What was learned from random labels is worth nothing on new digits."""

from collections.abc import Mapping
from typing import Any

import torch

from offmap.lab.claim import Paper, Scale, Trial, claim
from offmap.lab.claims.capacity.memorizing import SCALES, memorize

TWICE: Mapping[Scale, Mapping[str, Any]] = {
    scale: {**given, "repeats": 2 * given["repeats"]} for scale, given in SCALES.items()
}  # a standard error wants networks


@claim(
    says="A network that has fitted random labels is right on a tenth of new digits of ten "
    "classes, which is chance.",
    effect="distance of the mean test accuracy from 1/10, in standard errors over networks",
    below=4.0,
    scales=TWICE,
    seconds={"smoke": 0.7, "desk": 9.1, "full": 370.0},
    paper=Paper("Zhang et al. 2017", "https://arxiv.org/abs/1611.03530"),
)
def random_labels_teach_nothing(
    *, n: int, repeats: int, width: int, epochs: int, batch_size: int, rate: float,
    generator: torch.Generator,
) -> Trial:  # fmt: skip
    r"""Accuracy of networks trained on random labels, against the law.

    Labels are drawn from all ten alike and independently of the digits, and nothing in training
    tells classes apart by name. So every answer to a new digit is as likely as any other, and

    .. math:: P(\text{right}) = 1/10

    for each of them, whatever the digit and however the network generalizes. The standard error is
    that over networks, each with weights, digits, and labels of its own.
    """
    found = memorize(
        n=n, repeats=repeats, width=width, epochs=epochs, batch_size=batch_size, rate=rate,
        generator=generator,
    )  # fmt: skip
    right = found.held_out[1].double()
    error = right.std().item() / len(right) ** 0.5
    return Trial(
        effect=abs(right.mean().item() - 0.1) / error,
        parts={
            "test accuracy after random labels": right.mean().item(),
            "test accuracy after true labels": found.held_out[0].mean().item(),
            "training accuracy on random labels": found.fitted[1].mean().item(),
        },
        figures=(found.figure,),
    )
