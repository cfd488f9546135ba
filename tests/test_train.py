"""Plain training: repeatable, without traces, and the same as a loop written out by hand."""

from math import ceil

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from offmap.run import Recipe, Split
from offmap.table import RawFile
from offmap.train import Diverged, HistoryRecorder, plain_step, trainer

N, BATCH, EPOCHS = 25, 8, 3


def build() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Dropout(0.3), nn.Linear(6, 3))


def optimizer(weights) -> torch.optim.Optimizer:
    return torch.optim.SGD(weights, lr=0.1, momentum=0.9)


def recipe(**changes) -> Recipe:
    given = {
        "build": build, "optimizer": optimizer, "loss": cross_entropy,
        "epochs": EPOCHS, "batch_size": BATCH,
    }  # fmt: skip
    return Recipe(**(given | changes))


def seeded(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def split(generator) -> Split:
    return Split(torch.randn(N, 4, generator=generator), torch.arange(N) % 3)


def same(first: nn.Module, second: nn.Module) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_the_same_generator_gives_the_same_weights_and_another_one_others(split):
    train = trainer(recipe())
    assert same(train(split, seeded(1)), train(split, seeded(1)))
    assert not same(train(split, seeded(1)), train(split, seeded(2)))


def test_neither_reads_nor_moves_the_global_random_state(split):
    with torch.random.fork_rng():
        torch.manual_seed(11)
        before = torch.get_rng_state()
        first = trainer(recipe())(split, seeded())
        assert torch.equal(torch.get_rng_state(), before)
        torch.manual_seed(12)
        assert same(first, trainer(recipe())(split, seeded()))


def test_equals_a_loop_written_out(split):
    trained = trainer(recipe())(split, seeded())
    source = seeded()
    with torch.random.fork_rng():
        torch.manual_seed(int(torch.randint(2**62, (), generator=source)))
        model = build()
        steps = optimizer(model.parameters())
        model.train()
        for _ in range(EPOCHS):
            order = torch.randperm(N, generator=source)
            for start in range(0, N, BATCH):
                rows = order[start : start + BATCH]
                steps.zero_grad()
                cross_entropy(model(split.inputs[rows]), split.targets[rows]).backward()
                steps.step()
    assert same(trained, model)


def test_data_on_disk_train_the_same_weights(split, tmp_path):
    file = tmp_path / "inputs.bin"
    split.inputs.numpy().tofile(file)
    stored = Split(RawFile(file, N, (4,), torch.float32), split.targets)
    train = trainer(recipe())
    assert same(train(stored, seeded()), train(split, seeded()))


def test_reconstruction_trains_towards_the_inputs(split):
    plan = recipe(build=lambda: nn.Linear(4, 4), loss=mse_loss)
    unknown = trainer(plan)(Split(split.inputs), seeded())
    assert same(unknown, trainer(plan)(Split(split.inputs, split.inputs.clone()), seeded()))


def test_the_schedule_moves_with_every_update(split):
    told, rates = [], []

    def schedule(optimizer, updates):
        told.append(updates)
        return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / updates)

    def step(model, optimizer, loss, batch):
        rates.append(optimizer.param_groups[0]["lr"])
        plain_step(model, optimizer, loss, batch)

    trainer(recipe(schedule=schedule), step)(split, seeded())
    updates = EPOCHS * ceil(N / BATCH)
    assert told == [updates]
    assert rates == pytest.approx([0.1 * (1 - k / updates) for k in range(updates)])


def test_every_example_comes_once_an_epoch_in_a_new_order():
    marked = Split(torch.arange(N).float()[:, None], torch.zeros(N, 1))
    epochs, seen = [], []

    def step(model, optimizer, loss, batch):
        assert torch.equal(batch.targets, torch.zeros(len(batch), 1))
        seen.append(batch.inputs.flatten())

    def observe(epoch, model):
        epochs.append((epoch, torch.cat(seen)))
        sizes = [len(batch) for batch in seen]
        assert sizes == [8, 8, 8, 1]
        seen.clear()

    plan = recipe(build=lambda: nn.Linear(1, 1), loss=mse_loss)
    trainer(plan, step, observe=observe)(marked, seeded())
    assert [epoch for epoch, _ in epochs] == [1, 2, 3]
    for _, order in epochs:
        assert torch.equal(order.sort().values, torch.arange(N).float())
    assert not torch.equal(epochs[0][1], epochs[1][1])


def test_comes_back_in_evaluation_mode_without_gradients(split):
    with torch.no_grad():
        model = trainer(recipe())(split, seeded())
        assert not torch.is_grad_enabled()
    assert not any(module.training for module in model.modules())
    assert all(weight.grad is None for weight in model.parameters())
    assert not same(model, trainer(recipe(epochs=0))(split, seeded()))  # it did train


def test_the_recorder_sees_what_an_explicit_loop_sees(split):
    seen = []
    recorder = HistoryRecorder(split, batch_size=7)

    def both(epoch, model):
        assert model.training
        recorder(epoch, model)
        assert all(module.training for module in model.modules())
        model.eval()
        with torch.no_grad():
            row = [int(model(x[None]).argmax()) == k % 3 for k, x in enumerate(split.inputs)]
        model.train()
        seen.append(row)

    watched = trainer(recipe(), observe=both)(split, seeded())
    assert recorder.history.correct.tolist() == seen
    assert recorder.history.correct.shape == (EPOCHS, N)
    assert same(watched, trainer(recipe())(split, seeded()))  # watching changes nothing


def test_training_goes_on_in_training_mode_after_an_observer_changed_it(split):
    modes = []

    def step(model, optimizer, loss, batch):
        modes.append(model.training)

    trainer(recipe(), step, observe=lambda _, model: model.eval())(split, seeded())
    assert modes == [True] * (EPOCHS * ceil(N / BATCH))


def test_a_run_that_diverges_is_stopped_at_once(split):
    """Gradient descent on a square loss beyond 2 / curvature: it grows until it overflows."""
    given = recipe(
        build=lambda: nn.Linear(4, 1),
        optimizer=lambda weights: torch.optim.SGD(weights, lr=1e8),
        loss=lambda answers, targets: mse_loss(answers[:, 0], targets.float()),
        epochs=50,
    )
    losses = []

    def step(model, optimizer, loss, batch):
        plain_step(model, optimizer, lambda *both: losses.append(loss(*both)) or losses[-1], batch)

    with pytest.raises(Diverged, match=r"expected a finite loss, got (inf|nan) at step \d+"):
        trainer(given, step)(split, seeded())
    with pytest.raises(Diverged) as raised:
        trainer(given)(split, seeded())
    assert all(loss.isfinite() for loss in losses)
    assert f"at step {len(losses) + 1}:" in str(raised.value)
    assert len(losses) < 20
