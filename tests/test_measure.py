import math
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from offmap.estimate import exact
from offmap.inputs import (
    ClassPredictions,
    Features,
    Predictions,
    RealPredictions,
    TrainNeighbors,
)
from offmap.measure import Cost, Measure, Paper, is_stochastic, measure
from offmap.reading import Reading
from offmap.run import Recipe, Split


def made(function, **parts) -> Measure:
    return measure(
        asks="Is it?",
        unit="share",
        span=(0.0, math.inf),
        better="lower",
        cost=Cost.FORWARD,
        read="1: yes.",
        caution="None.",
        next_step="None.",
        paper=Paper("Nobody", "https://example.org/"),
        **parts,
    )(function)


def rows(model: nn.Module, split: Split, *, tile: int = 8, factor: float = 1.0) -> Tensor:
    return torch.zeros(len(split))


def once(recipe: Recipe, train: Split, *, generator: torch.Generator) -> Tensor:
    return torch.zeros(2)


def of_rows(train: Split, per_example: Tensor, *, factor: float = 2.0) -> Reading:
    """The first line.

    And more.
    """
    return Reading(exact(factor))


def of_seeds(replicates: Tensor, *, seeds: int = 3) -> Reading:
    return Reading(exact(seeds))


# -------------------------------------------------------------------------------- what is refused


def asks_for_a_typo(predictions: Predictions, trane: Split) -> Reading: ...


def asks_for_its_generator_by_position(generator: torch.Generator) -> Reading: ...


def has_a_setting_without_a_default(train: Split, *, size: int) -> Reading: ...


def asks_for_nothing_but_rows(per_example: Tensor) -> Reading: ...


def rows_with_a_typo(split: Split, modle: nn.Module) -> Tensor: ...


def rows_without_a_default(split: Split, *, size: int) -> Tensor: ...


def rows_of_no_split(train: Split) -> Tensor: ...


def rows_that_need_more_of_the_split(split: Split, features: Features) -> Tensor: ...


def many_seeds(replicates: Tensor) -> Reading: ...


@pytest.mark.parametrize(
    ("function", "parts", "message"),
    [
        (asks_for_a_typo, {}, "asks_for_a_typo asks for 'trane', which is not in the vocabulary"),
        (asks_for_its_generator_by_position, {}, "asks for 'generator'"),
        (has_a_setting_without_a_default, {}, "a default for setting size of has_a_setting"),
        (of_rows, {}, "expected 'per_example' to be both given and asked for"),
        (of_seeds, {}, "expected 'replicates' to be both given and asked for"),
        (of_seeds, {"per_example": rows}, "expected 'per_example' to be both"),
        (of_rows, {"per_example": rows, "replicate": once}, "expected 'replicates' to be both"),
        (asks_for_nothing_but_rows, {"per_example": rows_with_a_typo}, "asks for 'modle'"),
        (asks_for_nothing_but_rows, {"per_example": rows_without_a_default}, "setting size of r"),
        (asks_for_nothing_but_rows, {"per_example": rows_of_no_split}, "to take `split`"),
        (
            asks_for_nothing_but_rows,
            {"per_example": rows_that_need_more_of_the_split},
            "no other word of that split, got split, features",
        ),
        (many_seeds, {"replicate": once}, "expected a setting `seeds`"),
    ],
)
def test_what_cannot_be_a_measure_is_refused_where_it_is_written(function, parts, message):
    with pytest.raises(TypeError, match=message):
        made(function, **parts)


def test_a_word_of_another_split_is_welcome_in_a_shard():
    def near(split: Split, train_features: Features) -> Tensor: ...

    assert made(asks_for_nothing_but_rows, per_example=near).needs == (
        "per_example", "split", "train_features",
    )  # fmt: skip


# ----------------------------------------------------------------------------------- what is known


def test_what_a_measure_is_follows_from_its_function():
    unit = made(of_rows, per_example=rows)
    assert unit.name == "of_rows"
    assert unit.summary == "The first line."
    assert unit.needs == ("train", "per_example", "model", "split")
    assert unit.settings == {"tile": 8, "factor": 2.0}  # its own default before the shards'
    assert unit.inner is rows
    assert unit(None, None, factor=5.0).value == 5.0  # called like the function that it wraps
    assert made(of_seeds, replicate=once).inner is once
    assert made(of_seeds, replicate=once).settings == {"seeds": 3}


def test_the_question_is_the_folder():
    def function(train: Split) -> Reading: ...

    function.__module__ = "anything.at.all.geometry.function"
    assert made(function).question == "geometry"
    function.__module__ = "__main__"
    assert made(function).question == ""


def test_the_card_says_everything_in_plain_words():
    unit = made(of_rows, per_example=rows)
    card = unit.card
    assert (card.name, card.cost, card.better) == ("of_rows", "forward", "lower")
    assert (card.citation, card.url) == ("Nobody", "https://example.org/")
    for name in ("asks", "unit", "span", "read", "caution", "next_step", "summary", "question"):
        assert getattr(card, name) == getattr(unit, name)


def test_costs_are_in_order():
    assert Cost.WEIGHTS < Cost.FORWARD < Cost.BACKWARD < Cost.MANY_PASSES < Cost.RETRAIN
    assert Cost.MANY_PASSES.label == "many_passes"


def any_task(predictions: Predictions) -> Reading: ...


def no_predictions(train: Split) -> Reading: ...


def of_classes(predictions: ClassPredictions) -> Reading: ...


def of_classes_or_numbers(test_predictions: ClassPredictions | RealPredictions) -> Reading: ...


def of_all_classes(all_predictions: Mapping[str, ClassPredictions]) -> Reading: ...


def rows_of_numbers(split: Split, train_predictions: RealPredictions) -> Tensor: ...


@pytest.mark.parametrize(
    ("function", "parts", "tasks"),
    [
        (any_task, {}, None),
        (no_predictions, {}, None),
        (of_classes, {}, (ClassPredictions,)),
        (of_classes_or_numbers, {}, (ClassPredictions, RealPredictions)),
        (of_all_classes, {}, (ClassPredictions,)),
        (asks_for_nothing_but_rows, {"per_example": rows_of_numbers}, (RealPredictions,)),
    ],
)
def test_tasks_are_read_off_the_annotations(function, parts, tasks):
    assert made(function, **parts).tasks == tasks


def of_the_run(train_predictions: Predictions, test_features: Features) -> Reading: ...


def of_all(all_predictions: Mapping[str, Predictions]) -> Reading: ...


def of_a_split(split: Split, train_neighbors: TrainNeighbors) -> Reading: ...


def of_a_shift(predictions: Predictions, test_predictions: Predictions) -> Reading: ...


def of_a_shift_and_test(features: Features, test: Split) -> Reading: ...


@pytest.mark.parametrize(
    ("function", "parts", "where"),
    [
        (of_the_run, {}, "none"),
        (no_predictions, {}, "none"),
        (of_all, {}, "none"),
        (of_a_split, {}, "every"),
        (asks_for_nothing_but_rows, {"per_example": rows}, "every"),
        (of_a_shift, {}, "shifts"),
        (of_seeds, {"replicate": once}, "none"),
    ],
)
def test_where_it_is_read_follows_from_its_words(function, parts, where):
    assert made(function, **parts).reads_splits == where


def test_whether_it_draws():
    assert is_stochastic(once)
    assert not is_stochastic(rows)
