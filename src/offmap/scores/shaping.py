"""Features reshaped before the head reads them, by how much of their sum lies in the largest."""

import torch
from jaxtyping import Float
from torch import Tensor

from offmap.score import Known
from offmap.scores.head import last_layer

LEAST = torch.finfo(torch.double).tiny  # a row of zeros is not amplified: its ratio is 0


def rectified_head(known: Known, *, pruned: float) -> dict[str, Tensor]:
    """The head, whose features are nowhere negative.

    Args:
        known: Where they come from.
        pruned: A setting to check: the share of a row's features that is pruned.

    Raises:
        ValueError: If a feature is negative, the share is none, or the head is not the network's
            last layer.
    """
    if not 0 < pruned < 1:
        raise ValueError(f"expected pruned between 0 and 1, got {pruned:g}")
    assert known.features is not None
    for chunk in known.features.chunks():
        if bool((chunk < 0).any()):
            raise ValueError(
                "expected features that are nowhere negative, as behind a ReLU, got "
                f"{chunk.min().item():g} at the input of {known.features.layer!r}: the share of "
                "the largest in their sum means nothing; take react or energy"
            )
    return last_layer(known)


def prune(
    features: Float[Tensor, "n d"], pruned: float
) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n 1"]]:
    """Each row without its lowest features, and the sum of all over the sum of what is left.

    Where no feature is negative, the ratio lies between 1 and d / k, where k of d are left. Equals
    at the threshold are left together, or which of them a sort puts first would show.
    """
    features = features.relu()  # as all were that the score was fitted on
    left = max(1, round((1 - pruned) * features.shape[1]))
    threshold = features.topk(left, dim=1).values[:, -1:]
    kept = torch.where(features >= threshold, features, 0.0)
    every, some = (
        values.sum(dim=1, keepdim=True, dtype=torch.double) for values in (features, kept)
    )
    return kept, every / some.clamp_min(LEAST)
