"""Measures that show what the engine gives them."""

import torch
from torch import Tensor

from offmap.attempt import CannotMeasure
from offmap.estimate import exact
from offmap.measure import Cost, Measure, Paper, measure
from offmap.reading import Reading
from offmap.run import Split

UNITS: list[Measure] = []


def toy(**parts):
    def wrap(function) -> Measure:
        unit = measure(
            asks="What was I given?",
            unit="things",
            span=(0.0, float("inf")),
            better="neither",
            cost=Cost.WEIGHTS,
            read="1: one.",
            caution="None.",
            next_step="None.",
            paper=Paper("Nobody", "https://example.org/"),
            **parts,
        )(function)
        UNITS.append(unit)
        return unit

    return wrap


def _first(split: Split, *, factor: float = 1.0) -> Tensor:
    return factor * split.inputs[:, 0].double()


@toy(per_example=_first)
def first_number(split: Split, per_example: Tensor) -> Reading:
    return Reading(exact(float(len(split))), per_example=per_example)


def _noise(split: Split, *, generator: torch.Generator) -> Tensor:
    return torch.rand(len(split), generator=generator, dtype=torch.double)


@toy(per_example=_noise)
def noise_by_example(per_example: Tensor) -> Reading:
    return Reading(exact(per_example.mean().item()), per_example=per_example)


@toy(per_example=_noise)
def noise_of_its_own(per_example: Tensor, *, generator: torch.Generator) -> Reading:
    own = torch.rand(len(per_example), generator=generator, dtype=torch.double)
    return Reading(exact(0.0), per_example=own - per_example)


def _pair(train: Split, *, generator: torch.Generator) -> Tensor:
    return torch.rand(2, generator=generator, dtype=torch.double)


@toy(replicate=_pair)
def noise_by_seed(replicates: Tensor, *, seeds: int = 3) -> Reading:
    assert replicates.shape == (seeds, 2)
    return Reading(exact(replicates[:, 0].mean().item()))


def _break(split: Split) -> Tensor:
    if int(split.inputs[0, 0]) == 2048:
        raise ZeroDivisionError("row 2048")
    return torch.zeros(len(split))


@toy(per_example=_break)
def breaks_in_a_shard(per_example: Tensor) -> Reading:
    return Reading(exact(0.0))


def _decline(split: Split) -> Tensor:
    raise CannotMeasure("not today")


@toy(per_example=_decline)
def declines_in_a_shard(per_example: Tensor) -> Reading:
    return Reading(exact(0.0))


def _size(value) -> int:
    if hasattr(value, "rows") and not isinstance(value, Split):
        return len(value.rows)
    return len(value)


@toy()
def asks_for_everything(
    model, domain, head, train, test, shifts, checkpoints, history, recipe, class_names, split,
    groups, predictions, features, neighbors, feature_neighbors, layers,
    train_groups, train_predictions, train_features, train_neighbors, train_feature_neighbors,
    train_layers,
    test_groups, test_predictions, test_features, test_neighbors, test_feature_neighbors,
    test_layers, all_split,
    all_groups, all_predictions, all_features, all_neighbors, all_feature_neighbors, all_layers,
) -> Reading:  # fmt: skip
    given = dict(locals())
    apart = ("model", "domain", "head", "shifts", "checkpoints", "history", "recipe", "class_names")
    sizes = {
        name: sum(map(_size, value.values())) if name.startswith("all_") else _size(value)
        for name, value in given.items()
        if name not in apart
    }
    return Reading(
        exact(float(len(given))), parts={name: exact(float(n)) for name, n in sizes.items()}
    )
