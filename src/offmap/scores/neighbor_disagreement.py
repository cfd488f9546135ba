"""How much the labels of the nearest training features speak against the network's answer."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from offmap.attempt import InputError
from offmap.measure import Paper
from offmap.numerics.bank import Index, nearest
from offmap.numerics.neighbors import search
from offmap.score import Known, score
from offmap.scores.rows import Mapped, bank_of

SAMPLE = 2000  # rows of the bank whose distances set the width


def _fit(
    known: Known, *, k: int = 10, bank: int | None = None, generator: torch.Generator
) -> dict[str, Tensor]:
    """The training features with their classes, and the usual distance to the k-th neighbor.

    Args:
        known: Where features and classes come from.
        k: Neighbors that are asked.
        bank: Most rows to keep; None: all of them.
        generator: Source of those kept.

    Raises:
        InputError: If nobody knows the classes, or all features are the same.
    """
    if known.features is None or known.targets is None:
        raise InputError("expected training examples with classes, got none")
    table = known.features.table
    center = Mapped(table, Tensor.float).mean()
    kept = bank_of(
        Mapped(table, lambda rows: rows.float() - center),
        bank,
        k,
        known.memory,
        generator=generator,
    )
    some = torch.linspace(0, len(kept.points) - 1, min(SAMPLE, len(kept.points))).long()
    found = search(kept.points[some], kept.points, k=k, exclude=some, memory=known.memory // 4)
    width = found.distance[:, -1].median()
    if not width > 0:
        raise InputError(
            f"expected features that differ, got copies at the input of {known.features.layer!r}: "
            "set feature_layer to an earlier layer"
        )
    labels = known.targets[kept.rows].long()
    return {"center": center, "bank": kept.points, "labels": labels, "width": width}


@score(
    fit=_fit,
    says="The share of the nearest training features whose class is not the one predicted, the "
    "nearer the more; far from all of them it tends to that of a blind guess.",
    caution=(
        "It knows a wrong answer amid training data, and little of strangers that the network "
        "maps among the features of one class."
    ),
    paper=Paper(
        "Papernot and McDaniel (2018), Deep k-nearest neighbors: Towards confident, interpretable "
        "and robust deep learning",
        "https://arxiv.org/abs/1803.04765",
    ),
)
def neighbor_disagreement(
    logits: Float[Tensor, "n c"],
    features: Float[Tensor, "n d"],
    /,
    center: Float[Tensor, " d"],
    bank: Float[Tensor, "m d"] | Index,
    labels: Int64[Tensor, " m"],
    width: Float[Tensor, ""],
    *,
    k: int = 10,
) -> Float[Tensor, " n"]:
    r"""Weighted share of the k nearest training features with another class than the predicted.

    .. math::
        \frac{w_0 (1 - 1/c) + \sum_j w_j\, [y_j \ne \hat y]}{w_0 + \sum_j w_j}, \qquad
        w_j = \frac{1}{1 + \lVert z - z_j \rVert^2 / h^2}

    with h the median distance of training features to their k-th neighbor. The prior weight
    :math:`w_0 = 1`, of a blind guess among c classes, breaks ties: of two inputs whose neighbors
    all agree, the one nearer to them is the less strange.
    """
    distance, index = nearest(features.float() - center, bank, k=k)
    weight = 1 / (1 + (distance / width).square())
    other = labels[index] != logits.argmax(dim=1, keepdim=True)
    blind = 1 - 1 / logits.shape[1]
    against = (weight * other).sum(dim=1) + blind
    return against / (1 + weight.sum(dim=1))
