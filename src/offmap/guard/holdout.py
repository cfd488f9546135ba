"""Classes that play the strangers: left out of the scores, or of the whole training."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Int, Shaped
from torch import Tensor, nn
from torch.nn.utils import skip_init

from offmap.attempt import CannotMeasure
from offmap.guard.kept import trained
from offmap.guard.progress import Agenda
from offmap.passes import device_of, evaluating, named_layer
from offmap.run import Recipe, Split
from offmap.seeds import derive

SHARE = 0.2  # of the classes, left out together
LEAST = 3  # classes, so that two can stay


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """A network that does without some classes.

    Args:
        gone: These classes, as the user numbers them.
        model: The network; it tells the others apart.
        train: What scores are fitted on; the classes that stay are numbered anew.
        reference: The fresh examples of the classes that stay.
        strangers: Examples of the others.
    """

    gone: tuple[int, ...]
    model: nn.Module
    train: Split
    reference: Split
    strangers: Split


def parts(train: Split, reference: Split, seed: int) -> list[Int[Tensor, " k"]]:
    """The classes by fifths, in a random order: which of them go together.

    Raises:
        CannotMeasure: If there are too few classes, or nobody knows those of the fresh examples.
    """
    if reference.known_targets is None:
        raise CannotMeasure("the calibration data have no classes")
    classes = train.targets.unique()
    if len(classes) < LEAST:
        raise CannotMeasure(f"there are {len(classes)} classes, too few to leave some out")
    classes = classes[torch.randperm(len(classes), generator=derive(seed, "folds"))]
    size = max(1, round(SHARE * len(classes)))
    return [part for part in classes.split(size) if len(part) == size]


def left_out(
    model: nn.Module, layer: str | None, train: Split, reference: Split, *, count: int, seed: int
) -> Iterator[Fold]:
    """The user's own network, its head without a fifth of the classes each.

    No training: the body of the network has seen the classes that go, and tells them from others.
    What is fitted to the fold has not, and neither has the head. Strangers are fresh examples.

    Args:
        model: The trained network. It stays as it is.
        layer: Its head.
        train: All training data.
        reference: Fresh examples of all classes.
        count: How many folds, at most.
        seed: Of the classes that go together.

    Raises:
        CannotMeasure: If there are too few classes, or no linear head that gives the outputs.
    """
    for gone in parts(train, reference, seed)[:count]:
        kept = _others(train, gone)
        few = train.part(0, 2).inputs
        fresh = reference.take(torch.isin(reference.targets, gone).nonzero().flatten())
        stay = _of(reference, kept)
        if len(fresh) and len(stay) > 1:  # else no fresh example of theirs was drawn
            cut = narrowed(copy.deepcopy(model), layer, kept, few)
            yield Fold(tuple(gone.sort().values.tolist()), cut, _of(train, kept), stay, fresh)


def folds(
    recipe: Recipe,
    layer: str | None,
    train: Split,
    reference: Split,
    *,
    count: int,
    rows: int,
    seed: int,
    agenda: Agenda | None = None,
    folder: Path | None = None,
) -> Iterator[Fold]:
    """Retrainings without a fifth of the classes each, no class being left out twice.

    Args:
        recipe: How the network was trained.
        layer: Its head, of which the outputs for classes left out are cut off.
        train: All training data.
        reference: Fresh examples of all classes.
        count: How many retrainings, at most.
        rows: Strangers in each, at most; training examples, for this network never saw them.
        seed: Of classes, training and rows.
        agenda: Every epoch is a step of it.
        folder: Where the networks are kept; None: nowhere.

    Raises:
        CannotMeasure: If there are too few classes, or no linear head that gives the outputs.
    """
    targets = train.targets
    for number, gone in enumerate(parts(train, reference, seed)[:count]):
        kept = _others(train, gone)
        generator = derive(seed, "fold", number)
        fewer = train.take(torch.isin(targets, kept).nonzero().flatten())
        model = trained(recipe, fewer, generator, agenda or Agenda(), folder)
        out = torch.isin(targets, gone).nonzero().flatten()
        out = out[torch.randperm(len(out), generator=generator)[:rows]]
        yield Fold(
            tuple(gone.sort().values.tolist()),
            narrowed(model, layer, kept, train.part(0, 2).inputs),
            _of(train, kept),
            _of(reference, kept),
            train.take(out),
        )


def _others(split: Split, gone: Int[Tensor, " k"]) -> Int[Tensor, " l"]:
    classes = split.targets.unique()
    return classes[~torch.isin(classes, gone)]


def _of(split: Split, kept: Int[Tensor, " k"]) -> Split:
    """The rows of some classes, numbered by their place among these."""
    rows = torch.isin(split.targets, kept).nonzero().flatten()
    few = split.take(rows)
    return few.with_targets(torch.searchsorted(kept, few.targets))


def narrowed(
    model: nn.Module, layer: str | None, kept: Int[Tensor, " k"], inputs: Shaped[Tensor, "n ..."]
) -> nn.Module:
    """The model with the outputs of some classes alone; its head is replaced.

    Args:
        model: A classifier.
        layer: Its head.
        kept: The classes, ascending.
        inputs: A few inputs, on which it is tried.

    Raises:
        CannotMeasure: If it has no linear head with an output for each class.
    """
    head = None if layer is None else named_layer(model, layer)
    with evaluating(model):
        width = model(inputs.to(device_of(model))).shape[-1]
    if layer is None or not isinstance(head, nn.Linear) or head.out_features != width:
        raise CannotMeasure("the network has no linear head of which a class could be cut off")
    new = skip_init(nn.Linear, head.in_features, len(kept), bias=head.bias is not None)
    new.weight = nn.Parameter(head.weight.detach()[kept])
    if head.bias is not None:
        new.bias = nn.Parameter(head.bias.detach()[kept])
    above, _, name = layer.rpartition(".")
    setattr(named_layer(model, above) if above else model, name, new)
    return model
