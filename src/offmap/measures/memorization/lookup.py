"""A network set against a lookup table: the target of the nearest training example."""

import torch
from jaxtyping import Float64, Int
from torch import Tensor

from offmap.attempt import CannotMeasure
from offmap.estimate import exact, mean, proportion
from offmap.figures import Bars, Gallery
from offmap.inputs import ClassPredictions, TrainNeighbors
from offmap.reading import Reading
from offmap.run import Split

SLICES = 5  # of the split, by distance to train
SHOWN = 12  # examples in the gallery


def lookup_reading(
    split: Split, train: Split, predictions: ClassPredictions, neighbors: TrainNeighbors
) -> Reading:
    """How often the network says what its nearest training example is labeled.

    Raises:
        CannotMeasure: If no class has two examples in the split, so that there is no null.
    """
    nearest = neighbors.index[:, 0]
    answers = train.targets[nearest].long()
    labels, targets = predictions.labels, predictions.targets
    agree = answers == labels
    hit, looked_up = predictions.correct, answers == targets
    n, wrong = len(labels), ~predictions.correct
    parts = {
        "agreement of two unrelated answers": exact(chance_agreement(labels, answers), n),
        "accuracy of the network": proportion(int(hit.sum()), n),
        "accuracy of the lookup": proportion(int(looked_up.sum()), n),
        "what the network adds": mean(hit.double() - looked_up.double()),
    }
    if bool(wrong.any()):
        parts["agreement on the network's mistakes"] = proportion(
            int((agree & wrong).sum()), int(wrong.sum())
        )
    order = neighbors.distance[:, 0].argsort(stable=True)
    slices = {
        f"{name} fifth": proportion(int(agree[rows].sum()), len(rows))
        for name, rows in zip(
            ("nearest", "second", "third", "fourth", "farthest"),
            order.tensor_split(SLICES),
            strict=True,
        )
        if len(rows)
    }
    return Reading(
        proportion(int(agree.sum()), n),
        null=exact(agreement_given_target(labels, answers, targets), n),
        parts=parts,
        per_example=agree.double(),
        figures=(
            Bars("Agreement with the lookup, by distance to train", "share", slices),
            *_gallery(split, nearest, labels, answers, ~agree),
        ),
    )


def chance_agreement(one: Int[Tensor, " n"], other: Int[Tensor, " n"]) -> float:
    """Agreement of answers with these frequencies, were they drawn independently."""
    counts = _table(one, other)
    return float((counts.sum(0) * counts.sum(1)).sum() / counts.sum() ** 2)


def agreement_given_target(
    one: Int[Tensor, " n"], other: Int[Tensor, " n"], targets: Int[Tensor, " n"]
) -> float:
    """Agreement of two answerers that share nothing but how well they know each class.

    The answer of one on an example is set against the answer of the other on every *other*
    example of the same target: unbiased for the agreement of answers that are independent given
    the target. Classes with a single example say nothing and are left out.

    Raises:
        CannotMeasure: If every class has a single example.
    """
    size, matches = torch.zeros((), dtype=torch.double), torch.zeros((), dtype=torch.double)
    for target in targets.unique().tolist():
        mine = targets == target
        count = int(mine.sum())
        if count < 2:
            continue
        counts = _table(one[mine], other[mine])
        pairs = (counts.sum(0) * counts.sum(1)).sum() - counts.diagonal().sum()
        matches += pairs / (count - 1)  # sum over examples of the mean over the others
        size += count
    if not size:
        raise CannotMeasure("no class has two examples, so agreement has no reference")
    return float(matches / size)


def _table(one: Int[Tensor, " n"], other: Int[Tensor, " n"]) -> Float64[Tensor, "k k"]:
    """How often each pair of answers was given, over the answers that were given at all."""
    known, position = torch.cat([one, other]).unique(return_inverse=True)
    first, second = position.tensor_split(2)
    k = len(known)
    return torch.bincount(first * k + second, minlength=k * k).view(k, k).double()


def _gallery(
    split: Split, nearest: Tensor, labels: Tensor, answers: Tensor, differ: Tensor
) -> tuple[Gallery, ...]:
    """The first examples on which network and lookup differ, beside their nearest in train."""
    rows = differ.nonzero().flatten()[:SHOWN]
    if not len(rows):
        return ()
    return (
        Gallery(
            "Where the network and its nearest training example differ",
            (split.name, "train"),
            torch.stack([rows, nearest[rows]], dim=1),
            tuple(f"network {labels[r]}, lookup {answers[r]}" for r in rows.tolist()),
        ),
    )
