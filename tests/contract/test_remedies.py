"""Every remedy that is found keeps every law, and the laws catch those who break them."""

from dataclasses import replace
from importlib.util import find_spec

import pytest
import torch
from torch import Tensor, nn

from offmap.catalog import catalog
from offmap.measure import Paper
from offmap.remedy import Remedy, remedy
from offmap.run import Recipe, Trainer
from offmap.testing import check_remedy, tiny
from offmap.train import trainer

REMEDIES = catalog("offmap.remedies", Remedy) if find_spec("offmap.remedies") else {}
CLASSES = tiny.classification()


@pytest.mark.parametrize("name", REMEDIES)
def test_keeps_the_laws(name):
    check_remedy(REMEDIES[name], CLASSES)


@remedy(
    treats=("seed_spread",),
    overhead=1.0,
    caution="Changes nothing.",
    paper=Paper("Nobody", "https://example.org/"),
)
def as_it_was(recipe: Recipe) -> Trainer:
    """Plain training."""
    return trainer(recipe)


def test_plain_training_passes():
    check_remedy(as_it_was, CLASSES)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"treats": ()}, "a measure that it should move"),
        ({"treats": ("calibration_erorr",)}, "calibration_erorr"),
        ({"overhead": 0.0}, "overhead"),
        ({"caution": ""}, "caution"),
        ({"paper": Paper("Nobody", "http://example.org/")}, "https"),
    ],
)
def test_a_card_with_a_gap_is_caught(change, complaint):
    with pytest.raises(AssertionError, match=complaint):
        check_remedy(replace(as_it_was, **change), CLASSES)


def draws_from_the_global_state(recipe: Recipe) -> Trainer:
    """Initial weights from wherever torch happens to be."""
    return lambda split, generator: recipe.build()


def spoils_the_data(recipe: Recipe) -> Trainer:
    """Adds to the inputs that it was given."""

    def train(split, generator) -> nn.Module:
        split.inputs.add_(1e-3)
        return trainer(recipe)(split, generator)

    return train


def has_one_class_too_many(recipe: Recipe) -> Trainer:
    """A head of its own."""

    def train(split, generator) -> nn.Module:
        return nn.Sequential(trainer(recipe)(split, generator), nn.ZeroPad1d((0, 1)))

    return train


class Ruined(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor) -> Tensor:
        return self.model(inputs) * torch.nan


def answers_with_nan(recipe: Recipe) -> Trainer:
    """No answer at all."""
    return lambda split, generator: Ruined(trainer(recipe)(split, generator))


def forgets_its_generator(recipe: Recipe) -> Trainer:
    """The same global state afterwards, but other weights each time."""

    def train(split, generator) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            return recipe.build()

    return train


@pytest.mark.parametrize(
    ("function", "complaint"),
    [
        (draws_from_the_global_state, "torch's random state"),
        (spoils_the_data, "the inputs of train"),
        (has_one_class_too_many, r"shape \(8, 10\), got \(8, 11\)"),
        (answers_with_nan, "finite outputs"),
        (forgets_its_generator, "from the same generator"),
    ],
)
def test_training_that_breaks_a_law_is_caught(function, complaint):
    run = replace(CLASSES, train=CLASSES.train.take(torch.arange(64)), history=None)
    with pytest.raises(AssertionError, match=complaint):
        check_remedy(replace(as_it_was, function=function), run)


def test_a_run_without_a_recipe_cannot_tell():
    with pytest.raises(ValueError, match="a run with a recipe"):
        check_remedy(as_it_was, tiny.exported())
