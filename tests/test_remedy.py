"""What makes a function a remedy."""

import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss

from offmap.measure import Paper
from offmap.remedy import Remedy, remedy
from offmap.run import Recipe, Split, Trainer
from offmap.train import plain_step, trainer

ABOUT = {
    "treats": ("seed_spread",),
    "overhead": 1.5,
    "caution": "Toy.",
    "paper": Paper("Nobody 2000", "https://example.org"),
}


@remedy(**ABOUT)
def shrink(recipe: Recipe, *, factor: float = 1.0) -> Trainer:
    """Multiplies every weight by a factor after each update."""

    def step(model, optimizer, loss, batch):
        plain_step(model, optimizer, loss, batch)
        with torch.no_grad():
            for weight in model.parameters():
                weight.mul_(factor)

    return trainer(recipe, step)


@pytest.fixture
def split(generator) -> Split:
    inputs = torch.randn(20, 3, generator=generator)
    return Split(inputs, inputs @ torch.tensor([[1.0], [2.0], [-1.0]]))


@pytest.fixture
def recipe() -> Recipe:
    return Recipe(lambda: nn.Linear(3, 1), lambda w: torch.optim.SGD(w, lr=0.1), mse_loss, 4, 5)


def weights(train: Trainer, split: Split) -> torch.Tensor:
    model = train(split, torch.Generator().manual_seed(3))
    return torch.cat([weight.detach().flatten() for weight in model.parameters()])


def test_what_it_says_of_itself():
    assert isinstance(shrink, Remedy)
    assert shrink.name == "shrink"
    assert dict(shrink.settings) == {"factor": 1.0}
    assert {name: getattr(shrink, name) for name in ABOUT} == ABOUT


def test_at_its_neutral_setting_it_is_plain_training_bit_for_bit(recipe, split):
    assert torch.equal(weights(shrink(recipe), split), weights(trainer(recipe), split))


def test_settings_reach_the_function(recipe, split):
    assert weights(shrink(recipe, factor=0.0), split).abs().max() == 0
    assert not torch.equal(
        weights(shrink(recipe, factor=0.9), split), weights(shrink(recipe), split)
    )
    with pytest.raises(TypeError, match="strength"):
        shrink(recipe, strength=2)


def test_refuses_a_function_that_does_not_start_with_the_recipe():
    def other(plan, *, factor: float = 1.0): ...

    def none(): ...

    with pytest.raises(TypeError, match=r"expected other\(recipe, \*, \.\.\.\), got plan first"):
        remedy(**ABOUT)(other)
    with pytest.raises(TypeError, match="got None first"):
        remedy(**ABOUT)(none)


def test_refuses_a_setting_without_a_default():
    def strong(recipe, *, strength): ...

    with pytest.raises(TypeError, match="expected a default for setting strength of strong"):
        remedy(**ABOUT)(strong)
