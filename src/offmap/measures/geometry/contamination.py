"""Does this split repeat training examples?"""

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from offmap.estimate import Estimate, exact, proportion
from offmap.figures import Gallery
from offmap.inputs import TrainNeighbors
from offmap.measure import Cost, Paper, measure
from offmap.numerics.duplicates import first_equal, row_digests
from offmap.reading import Reading
from offmap.run import Split

SHOWN = 12  # pairs in the gallery


@measure(
    asks="How much of this split was seen, or all but seen, in training?",
    unit="share of examples",
    span=(0.0, 1.0),
    better="lower",
    cost=Cost.FORWARD,
    read="0: nothing is repeated. 0.03, as in CIFAR-10: three examples in a hundred are known by "
    "heart, and an accuracy of 0.90 may be 0.897 on the rest. As high as within train: the source "
    "itself repeats itself, and nothing leaked beyond that.",
    caution="Finds copies and small disturbances of them, not crops, flips or other frames of the "
    "same film. In a few dimensions fresh examples fall this near by chance: compare with train. "
    "Rounded data repeat themselves honestly.",
    next_step="Take the rows named in the notes out of the split and audit again; if examples "
    "come in families (patient, speaker, film), split by family. Correct or drop conflicting "
    "targets.",
    paper=Paper("Barz & Denzler 2020", "https://arxiv.org/abs/1902.00423"),
)
def contamination(
    split: Split,
    train: Split,
    neighbors: TrainNeighbors,
    train_neighbors: TrainNeighbors,
    *,
    near: float = 0.1,
) -> Reading:
    """Share of examples that equal a training example or lie next to one.

    Equality is of every number, found by digest over all rows. An example is a near duplicate
    where its nearest training example is closer than `near` times the median distance between a
    training example and its nearest other: where that law is locally d-dimensional, a fresh
    example is so by chance with probability 1 - 2^(-near^d), 0.7 % for d = 2 and 1e-5 for d = 5.

    The null is the same share within train, each example left out of its own search: what the
    source repeats by itself.

    Args:
        split: The examples to read.
        train: What the network was trained on.
        neighbors: Of the split.
        train_neighbors: Of training examples among the others.
        near: Distance below which an example is a near duplicate, in typical distances of train.

    Raises:
        ValueError: If near is not between 0 and 1.
    """
    if not 0 <= near < 1:
        raise ValueError(f"expected 0 <= near < 1, got {near}")
    dtype = torch.promote_types(train.table.dtype, split.table.dtype)
    tables = [data.table.chunks() for data in (train, split)]
    first = first_equal(torch.cat([row_digests(chunks, dtype) for chunks in tables]))
    mine = first[len(train) :]  # [n], a training row, or a row of the split plus len(train)
    equal = mine < len(train)
    reach = near * train_neighbors.distance[:, 0].median().item()
    found = equal | (neighbors.distance[:, 0] < reach)
    source = torch.where(equal, mine, neighbors.index[:, 0])  # [n], the training row

    own = first[: len(train)]
    again = own != torch.arange(len(own))
    repeats = torch.bincount(own, minlength=len(own))[own] > 1
    near_again = repeats[train_neighbors.rows] | (train_neighbors.distance[:, 0] < reach)
    new = torch.where(equal, -1, mine - len(train))
    parts = {
        "equal to a training example": proportion(int(equal.sum()), len(split)),
        "train: copies of an earlier example": exact(again.double().mean().item(), len(train)),
        "split: copies of an earlier example": exact(
            _later(new).double().mean().item(), len(split)
        ),
        **_conflicts(split, train, found, source, own),
    }
    return Reading(
        proportion(int(found.sum()), len(split)),
        null=proportion(int(near_again.sum()), len(near_again)),
        parts=parts,
        per_example=found.double(),
        figures=_pairs(split, train, found, equal, source, neighbors),
        notes=_notes(split, found, equal, source),
    )


def _later(new: Int[Tensor, " n"]) -> Bool[Tensor, " n"]:
    """Rows that equal an earlier row of the split and no training example (-1)."""
    return (new >= 0) & (new != torch.arange(len(new)))


def _differ(one: Tensor, other: Tensor) -> Bool[Tensor, " n"]:
    """Whether two columns of targets [n, ...] differ anywhere in a row."""
    return (one != other).reshape(len(one), -1).any(dim=1)


def _conflicts(
    split: Split,
    train: Split,
    found: Bool[Tensor, " n"],
    source: Int[Tensor, " n"],
    own: Int[Tensor, " m"],
) -> dict[str, Estimate]:
    """Targets that disagree although the inputs are the same, where targets are known."""
    parts = {}
    if train.known_targets is not None:
        clash = _differ(train.known_targets, train.known_targets[own])
        torn = torch.zeros(len(own), dtype=torch.bool)
        torn[own[clash]] = True  # every copy of an example whose copies disagree
        parts["train: copies that disagree on the target"] = exact(
            torn[own].double().mean().item(), len(own)
        )
        if split.known_targets is not None and bool(found.any()):
            clash = _differ(split.known_targets[found], train.known_targets[source[found]])
            parts["duplicates with another target"] = proportion(int(clash.sum()), len(clash))
    return parts


def _pairs(
    split: Split,
    train: Split,
    found: Bool[Tensor, " n"],
    equal: Bool[Tensor, " n"],
    source: Int[Tensor, " n"],
    neighbors: TrainNeighbors,
) -> tuple[Gallery, ...]:
    """Near duplicates beside their training example, nearest first; copies only after them."""
    distance = torch.where(equal, torch.inf, neighbors.distance[:, 0])
    rows = distance.masked_fill(~found, torch.nan).argsort(stable=True)[: int(found.sum())][:SHOWN]
    if not len(rows):
        return ()

    def caption(row: int) -> str:
        words = "equal" if equal[row] else f"distance {neighbors.distance[row, 0].item():.3g}"
        if split.known_targets is None or train.known_targets is None:
            return words
        one, other = split.known_targets[row], train.known_targets[source[row]]
        if one.numel() != 1 or bool((one == other).all()):
            return words
        return f"{words}, targets {one.item():.4g} and {other.item():.4g}"

    title = f"Examples of {split.name} beside the training examples that they repeat"
    shown = torch.stack([rows, source[rows]], dim=1)
    return (Gallery(title, (split.name, "train"), shown, tuple(map(caption, rows.tolist()))),)


def _notes(
    split: Split, found: Bool[Tensor, " n"], equal: Bool[Tensor, " n"], source: Int[Tensor, " n"]
) -> tuple[str, ...]:
    """The first rows of each kind, by number."""
    notes = []
    for kind, which in (("equals", equal), ("all but equals", found & ~equal)):
        rows = which.nonzero().flatten()
        if len(rows):
            named = ", ".join(f"{row} (train {source[row]})" for row in rows[:10].tolist())
            more = f" and {len(rows) - 10} more" if len(rows) > 10 else ""
            notes.append(f"{split.name} {kind} train at rows {named}{more}.")
    return tuple(notes)
