"""Many networks at once: the same weights as one by one, and refusals where they would differ."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from offmap.attempt import InputError
from offmap.run import Recipe, Split
from offmap.train import Diverged, ensemble_trainer, trainer

N, SEEDS = 50, (3, 1, 4, 1)


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))


def convolutional() -> nn.Module:
    """No bias before the normalization: its gradient is all rounding, which Adam makes large."""
    return nn.Sequential(
        nn.Unflatten(1, (1, 2, 3)), nn.Conv2d(1, 4, 2, bias=False), nn.BatchNorm2d(4), nn.Tanh(),
        nn.Flatten(), nn.Linear(8, 3),
    )  # fmt: skip


def recipe(**changes) -> Recipe:
    given = {
        "build": mlp, "optimizer": lambda weights: torch.optim.Adam(weights, lr=0.02),
        "loss": cross_entropy, "epochs": 3, "batch_size": 16,
    }  # fmt: skip
    return Recipe(**(given | changes))


def seeded() -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in SEEDS]


@pytest.fixture
def split(generator) -> Split:
    return Split(torch.randn(N, 6, generator=generator), torch.arange(N) % 3)


def one_cycle(optimizer, updates):
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.05, total_steps=updates)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"build": convolutional},
        {"optimizer": lambda weights: torch.optim.SGD(weights, lr=0.1, momentum=0.9)},
        {"optimizer": lambda weights: torch.optim.AdamW(weights, lr=0.02, weight_decay=0.1)},
        {"schedule": one_cycle},
    ],
    ids=["adam", "batch normalization", "momentum", "weight decay", "schedule"],
)
def test_each_network_is_the_one_that_its_generator_gives(split, changes):
    given = recipe(**changes)
    together = ensemble_trainer(given)(split, seeded())
    for found, generator in zip(together, seeded(), strict=True):
        alone = trainer(given)(split, generator)
        assert found.state_dict().keys() == alone.state_dict().keys()
        for name, weight in alone.state_dict().items():
            torch.testing.assert_close(found.state_dict()[name], weight, rtol=1e-4, atol=1e-5)
        assert not found.training and all(w.grad is None for w in found.parameters())
    first, second, _, again = (network[-1].weight for network in together)
    assert torch.equal(second, again)  # seed 1 twice
    assert not torch.equal(first, second)


def test_each_network_may_have_data_of_its_own(split, generator):
    given = recipe()
    splits = [split.with_targets(torch.randint(3, (N,), generator=generator)) for _ in SEEDS]
    together = ensemble_trainer(given)(splits, seeded())
    for found, own, source in zip(together, splits, seeded(), strict=True):
        alone = trainer(given)(own, source)
        torch.testing.assert_close(found[0].weight, alone[0].weight, rtol=1e-4, atol=1e-5)


def test_reconstruction(split):
    given = recipe(build=lambda: nn.Linear(6, 6), loss=mse_loss)
    own = Split(split.inputs)
    together = ensemble_trainer(given)(own, seeded())
    torch.testing.assert_close(together[0].weight, trainer(given)(own, seeded()[0]).weight)


def test_neither_reads_nor_moves_the_global_random_state(split):
    with torch.random.fork_rng():
        torch.manual_seed(5)
        before = torch.get_rng_state()
        first = ensemble_trainer(recipe())(split, seeded())
        assert torch.equal(torch.get_rng_state(), before)
        torch.manual_seed(6)
        second = ensemble_trainer(recipe())(split, seeded())
    assert torch.equal(first[0][0].weight, second[0][0].weight)


def test_no_generators_no_networks(split):
    assert ensemble_trainer(recipe())(split, []) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"build": lambda: nn.Sequential(mlp(), nn.Dropout(0.5))},
            "draw no random numbers, got '1'",
        ),
        ({"optimizer": torch.optim.LBFGS}, "updates each number by itself, got LBFGS"),
    ],
)
def test_what_would_come_out_otherwise_is_refused(split, changes, message):
    with pytest.raises(InputError, match=message):
        ensemble_trainer(recipe(**changes))(split, seeded())


def test_splits_of_two_sizes_are_refused(split):
    with pytest.raises(InputError, match="of 49, 50 examples"):
        ensemble_trainer(recipe())([split] * 3 + [split.window(0, N - 1)], seeded())
    with pytest.raises(InputError, match="each of 4 networks, got 3"):
        ensemble_trainer(recipe())([split] * 3, seeded())


def test_one_that_diverges_stops_them_all(split):
    """At the step at which it would have been stopped alone."""
    wild = recipe(optimizer=lambda weights: torch.optim.SGD(weights, lr=1e12), epochs=50)
    with pytest.raises(Diverged) as alone:
        trainer(wild)(split, seeded()[0])
    with pytest.raises(Diverged) as together:
        ensemble_trainer(wild)(split, seeded()[:1])
    assert str(alone.value) == str(together.value)
