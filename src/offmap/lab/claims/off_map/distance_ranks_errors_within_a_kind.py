"""Within one kind of corruption, what lies farther from the training data is misread more."""

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.off_map.corrupted_digits import corrupted, error_by_tenth


@claim(
    says="Within one kind of corruption the farther inputs are the likelier mistakes: Spearman's "
    "correlation of distance and error is above 0.2, on average over kinds.",
    effect="mean over kinds of Spearman's correlation of mistakes with input distance",
    above=0.2,
    scales={
        "smoke": {"epochs": 5, "examples": 200},
        "desk": {"epochs": 40, "examples": 597},
        "full": {"epochs": 100, "examples": 597},
    },
    seconds={"smoke": 0.2, "desk": 1.0, "full": 3.0},
    paper=Paper("Jiang et al. 2018", "https://arxiv.org/abs/1805.11783"),
)
def distance_ranks_errors_within_a_kind(
    *, epochs: int, examples: int, generator: torch.Generator
) -> Trial:
    """Six kinds of corruption of test digits, at four levels each; Euclidean distance to train.

    A kind on which the network makes no mistake, or nothing else, has no correlation and fails
    the trial.
    """
    found = corrupted(epochs=epochs, examples=examples, generator=generator)
    ranks = {name: kind.rank for name, kind in found.items()}
    figure = error_by_tenth(
        "Error by distance, kind by kind",
        {name: (kind.by_input, kind.wrong) for name, kind in found.items()},
    )
    return Trial(sum(ranks.values()) / len(ranks), ranks, (figure,))
