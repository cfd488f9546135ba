"""Measured in the network's own features, distance does rank mistakes over kinds of corruption."""

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.off_map.corrupted_digits import corrupted, error_by_tenth, rank


@claim(
    says="Distance to the training data in the network's last hidden layer ranks mistakes over all "
    "kinds of corruption: Spearman's correlation is above 0.2.",
    effect="Spearman's correlation of mistakes with feature distance, all kinds pooled",
    above=0.2,
    scales={
        "smoke": {"epochs": 5, "examples": 200},
        "desk": {"epochs": 40, "examples": 597},
        "full": {"epochs": 100, "examples": 597},
    },
    seconds={"smoke": 0.2, "desk": 1.0, "full": 3.0},
    paper=Paper("Sun et al. 2022", "https://arxiv.org/abs/2204.06507"),
)
def feature_distance_ranks_errors(
    *, epochs: int, examples: int, generator: torch.Generator
) -> Trial:
    """Six kinds of corruption of test digits, at four levels each; Euclidean distance to train.

    The control is the distance of the inputs themselves, for the same network and pictures.
    """
    found = corrupted(epochs=epochs, examples=examples, generator=generator)
    wrong = torch.cat([kind.wrong for kind in found.values()])
    features = torch.cat([kind.by_feature for kind in found.values()])
    inputs = torch.cat([kind.by_input for kind in found.values()])
    parts = {"by input distance": rank(inputs, wrong)} | {
        f"{name}: by feature distance": rank(kind.by_feature, kind.wrong)
        for name, kind in found.items()
    }
    figure = error_by_tenth(
        "Error by distance, all kinds", {"features": (features, wrong), "inputs": (inputs, wrong)}
    )
    return Trial(rank(features, wrong), parts, (figure,))
