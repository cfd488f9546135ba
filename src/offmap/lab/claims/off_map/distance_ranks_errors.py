"""Distance to the training data is said to say where a network errs."""

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.off_map.corrupted_digits import corrupted, error_by_tenth, rank


@claim(
    says="The farther an input lies from the training data, the likelier a mistake, over inputs "
    "corrupted in all kinds of ways: Spearman's correlation is above 0.15.",
    effect="Spearman's correlation of mistakes with input distance, all kinds pooled",
    above=0.15,
    scales={
        "smoke": {"epochs": 5, "examples": 200},
        "desk": {"epochs": 40, "examples": 597},
        "full": {"epochs": 100, "examples": 597},
    },
    seconds={"smoke": 0.2, "desk": 1.0, "full": 3.0},
    paper=Paper("Jiang et al. 2018", "https://arxiv.org/abs/1805.11783"),
)
def distance_ranks_errors(*, epochs: int, examples: int, generator: torch.Generator) -> Trial:
    """Six kinds of corruption of test digits, at four levels each; Euclidean distance to train.

    What comes out depends on the mixture of kinds and levels: see `farther_kinds_err_more`. Parts:
    the error and the mean distance of each kind.
    """
    found = corrupted(epochs=epochs, examples=examples, generator=generator)
    distance = torch.cat([kind.by_input for kind in found.values()])
    wrong = torch.cat([kind.wrong for kind in found.values()])
    parts = {"error, pooled": wrong.double().mean().item()}
    for name, kind in found.items():
        parts[f"{name}: error"] = kind.wrong.double().mean().item()
        parts[f"{name}: mean distance"] = kind.by_input.mean().item()
    figure = error_by_tenth("Error by distance, all kinds", {"pooled": (distance, wrong)})
    return Trial(rank(distance, wrong), parts, (figure,))
