"""A network set against a lookup table: the target of the nearest training example."""

import torch
from jaxtyping import Float64, Int
from torch import Tensor

from offmap.attempt import CannotMeasure
from offmap.estimate import Estimate, mean, proportion
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
        CannotMeasure: If train has no targets, or no class has two examples in the split.
    """
    if train.known_targets is None:
        raise CannotMeasure("a lookup needs the targets of train, got none")
    nearest = neighbors.index[:, 0]
    answers = train.known_targets[nearest].long()
    labels, targets = predictions.labels, predictions.targets
    agree = answers == labels
    hit, looked_up = predictions.correct, answers == targets
    n, wrong = len(labels), ~predictions.correct
    parts = {
        "agreement of two unrelated answers": expected_agreement(
            labels, answers, torch.zeros_like(labels)
        ),
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
        null=expected_agreement(labels, answers, targets),
        parts=parts,
        per_example=agree.double(),
        figures=(
            Bars("Agreement with the lookup, by distance to train", "share", slices),
            *_gallery(split, nearest, labels, answers, ~agree),
        ),
    )


def expected_agreement(
    one: Int[Tensor, " n"], other: Int[Tensor, " n"], given: Int[Tensor, " n"]
) -> Estimate:
    """Agreement of two answerers that share nothing but how they treat each group of examples.

    The answer of one on an example is set against the answers of the other on every *other*
    example of the same group: unbiased for the agreement of answers that are independent within
    groups. Groups of one say nothing and are left out. The interval is that of the U-statistic's
    first-order terms.

    Args:
        one: Answers of the first.
        other: Answers of the second, on the same examples.
        given: Group of each example.

    Raises:
        CannotMeasure: If every group has a single example.
    """
    known, answers = torch.cat([one, other]).unique(return_inverse=True)
    first, second = answers.tensor_split(2)
    groups, group, size = given.unique(return_inverse=True, return_counts=True)
    k = len(known)

    def counts(answer: Int[Tensor, " n"]) -> Float64[Tensor, "g k"]:
        return torch.bincount(group * k + answer, minlength=len(groups) * k).view(-1, k).double()

    same, others = (first == second).double(), size[group].double() - 1
    met = (counts(second)[group, first] - same) / others  # [n], NaN in a group of one
    meets = (counts(first)[group, second] - same) / others
    level = torch.zeros(len(groups), dtype=torch.double).index_add_(0, group, met) / size
    rows = (met + meets - level[group])[size[group] > 1]
    if not len(rows):
        raise CannotMeasure("no class has two examples, so agreement has no reference")
    return mean(rows)


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
