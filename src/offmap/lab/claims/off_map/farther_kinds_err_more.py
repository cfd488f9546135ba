"""A kind of corruption that lies farther from the training data is said to do more harm."""

import torch

from offmap.figures import Scatter
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.off_map.corrupted_digits import corrupted, rank


@claim(
    says="Of several kinds of corruption, those that lie farther from the training data are "
    "misread more: Spearman's correlation of distance and error over kinds is above 0.15.",
    effect="Spearman's correlation, over kinds, of mean input distance and error",
    above=0.15,
    scales={
        "smoke": {"epochs": 5, "examples": 200},
        "desk": {"epochs": 40, "examples": 597},
        "full": {"epochs": 100, "examples": 597},
    },
    seconds={"smoke": 0.2, "desk": 1.0, "full": 3.0},
    paper=Paper("Jiang et al. 2018", "https://arxiv.org/abs/1805.11783"),
    corrected="distance_ranks_errors_within_a_kind",
)
def farther_kinds_err_more(*, epochs: int, examples: int, generator: torch.Generator) -> Trial:
    """Six kinds of corruption of test digits, at four levels each; Euclidean distance to train.

    Distance has one unit for all kinds, harm has not: a brighter picture is far off and read
    well, a picture moved by a pixel is near and misread.
    """
    found = corrupted(epochs=epochs, examples=examples, generator=generator)
    distance = torch.stack([kind.by_input.mean() for kind in found.values()])
    error = torch.stack([kind.wrong.double().mean() for kind in found.values()])
    figure = Scatter(
        "Kinds of corruption", "mean distance to train", "error", distance, error, tuple(found)
    )
    parts = {f"{name}: error": value for name, value in zip(found, error.tolist(), strict=True)}
    return Trial(rank(distance, error), parts, (figure,))
