"""Small runs on which a measure is tried: one of each task, trained in a moment, complete.

Their models are left in mixed modes, with a frozen weight and a gradient lying around, as people's
models are: whatever touches them shows.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cache

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

from offmap.models.exported import ExportedModel
from offmap.run import Checkpoint, Loss, Recipe, Split, TrainingRun
from offmap.train import HistoryRecorder, trainer

TRAIN, TEST = 240, 120  # examples
TOKENS, LENGTH = 12, 8  # vocabulary, positions


def worlds() -> Mapping[str, TrainingRun]:
    """Every run, by name: classification, regression, reconstruction, tokens, exported."""
    made = (classification(), regression(), reconstruction(), tokens(), exported())
    return {run.name: run for run in made}


@cache
def classification() -> TrainingRun:
    """Ten digits of 8 x 8 pixels; a network with batch norm and dropout, far from perfect."""
    images, labels = _digits()
    train = Split(images[:TRAIN], labels[:TRAIN], groups=labels[:TRAIN] % 3)
    test = Split(images[TRAIN:], labels[TRAIN:], groups=labels[TRAIN:] % 3)
    recorder = HistoryRecorder(train)
    kept: list[Checkpoint] = []

    def observe(epoch: int, model: nn.Module) -> None:
        recorder(epoch, model)
        weights = {name: weight.clone() for name, weight in model.state_dict().items()}
        kept.append(Checkpoint(epoch, weights))

    recipe = _recipe(_classifier, functional.cross_entropy)
    model = trainer(recipe, observe=observe)(train, torch.Generator().manual_seed(0))
    return TrainingRun(
        model=_lived_in(model),
        train=train,
        test=test,
        shifts=_shifts(test, images[TRAIN:].roll(1, dims=-1)),
        checkpoints=kept,
        history=recorder.history,
        recipe=recipe,
        name="classification",
    )


@cache
def regression() -> TrainingRun:
    """Six numbers in, one out, with noise."""
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(TRAIN + TEST, 6, generator=generator)
    noise = 0.3 * torch.randn(TRAIN + TEST, 1, generator=generator)
    targets = inputs[:, :1].sin() + inputs[:, 1:2] * inputs[:, 2:3] + noise
    groups = (inputs[:, 3] > 0).long()
    test = Split(inputs[TRAIN:], targets[TRAIN:], groups=groups[TRAIN:])
    return _run(
        "regression",
        _recipe(_regressor, functional.mse_loss),
        Split(inputs[:TRAIN], targets[:TRAIN], groups=groups[:TRAIN]),
        test,
        inputs[TRAIN:] + 1,
    )


@cache
def reconstruction() -> TrainingRun:
    """Digits through eight numbers and back; their targets are the inputs."""
    images, labels = _digits()
    test = Split(images[TRAIN:], groups=labels[TRAIN:] % 3)
    return _run(
        "reconstruction",
        _recipe(_autoencoder, functional.mse_loss),
        Split(images[:TRAIN], groups=labels[:TRAIN] % 3),
        test,
        1 - images[TRAIN:],
    )


@cache
def tokens() -> TrainingRun:
    """Sequences of a random Markov chain: the next token given each one."""
    generator = torch.Generator().manual_seed(2)
    law = (3 * torch.randn(TOKENS, TOKENS, generator=generator)).softmax(dim=1)
    walk = [torch.randint(TOKENS, (TRAIN + TEST,), generator=generator)]
    for _ in range(LENGTH):
        walk.append(torch.multinomial(law[walk[-1]], 1, generator=generator).flatten())
    said = torch.stack(walk, dim=1)  # [n, LENGTH + 1]
    groups = said[:, 0] % 2
    test = Split(said[TRAIN:, :-1], said[TRAIN:, 1:], groups=groups[TRAIN:])
    return _run(
        "tokens",
        _recipe(_language_model, _token_loss),
        Split(said[:TRAIN, :-1], said[:TRAIN, 1:], groups=groups[:TRAIN]),
        test,
        said[TRAIN:, :-1].flip(dims=(1,)),
    )


@cache
def exported() -> TrainingRun:
    """The classifier as a program of `torch.export`: it answers, and shows no modules."""
    run = classification()
    assert run.train is not None
    copy = _classifier()
    copy.load_state_dict(run.model.state_dict())
    program = torch.export.export(
        copy.eval(), (run.train.inputs[:4],), dynamic_shapes=({0: torch.export.Dim("n")},)
    )
    model = ExportedModel(program)
    return replace(run, model=model, recipe=None, history=None, checkpoints=(), name="exported")


@cache
def vectors() -> TrainingRun:
    """Four clouds of twelve numbers and a perceptron; for scores, so not one of `worlds`."""
    generator = torch.Generator().manual_seed(3)
    labels = torch.arange(TRAIN + TEST) % 4
    centers = 2 * torch.randn(4, 12, generator=generator)
    inputs = centers[labels] + torch.randn(TRAIN + TEST, 12, generator=generator)
    return _run(
        "vectors",
        _recipe(_perceptron, functional.cross_entropy),
        Split(inputs[:TRAIN], labels[:TRAIN]),
        Split(inputs[TRAIN:], labels[TRAIN:]),
        inputs[TRAIN:] + 1,
    )


# ---------------------------------------------------------------------------------- their parts


def _run(name: str, recipe: Recipe, train: Split, test: Split, moved: Tensor) -> TrainingRun:
    model = trainer(recipe)(train, torch.Generator().manual_seed(0))
    return TrainingRun(
        model=_lived_in(model),
        train=train,
        test=test,
        shifts=_shifts(test, moved),
        recipe=recipe,
        name=name,
    )


def _shifts(test: Split, moved: Tensor) -> dict[str, Split]:
    """Test with other inputs, and its second half: a shift of another length."""
    other = Split(moved, test.known_targets, groups=test.groups)
    return {"moved": other, "half": test.take(torch.arange(len(test) // 2, len(test)))}


def _lived_in(model: nn.Module) -> nn.Module:
    """In mixed modes, with one frozen weight and one gradient left from training."""
    for number, module in enumerate(model.modules()):
        module.training = number % 2 == 0
    first, *_, last = model.parameters()
    first.requires_grad_(False)
    last.grad = torch.ones_like(last)
    return model


def _recipe(build: Callable[[], nn.Module], loss: Loss) -> Recipe:
    return Recipe(build, _optimizer, loss, epochs=4, batch_size=32)


def _optimizer(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=5e-3)


def _digits() -> tuple[Tensor, Tensor]:
    """Images [n, 1, 8, 8] in [0, 1] and classes [n]."""
    pixels, classes = load_digits(return_X_y=True)
    images = torch.tensor(pixels[: TRAIN + TEST], dtype=torch.float32).view(-1, 1, 8, 8) / 16
    return images, torch.tensor(classes[: TRAIN + TEST], dtype=torch.int64)


def _classifier() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(128, 10),
    )


def _perceptron() -> nn.Module:
    return nn.Sequential(
        nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 24), nn.ReLU(), nn.Linear(24, 4)
    )


def _regressor() -> nn.Module:
    return nn.Sequential(
        nn.Linear(6, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 1)
    )


def _autoencoder() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.1),
        nn.Linear(8, 64), nn.Unflatten(1, (1, 8, 8)),
    )  # fmt: skip


def _language_model() -> nn.Module:
    return nn.Sequential(
        nn.Embedding(TOKENS, 16), nn.LayerNorm(16), nn.Dropout(0.1), nn.Linear(16, TOKENS)
    )


def _token_loss(scores: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(scores.flatten(0, 1), targets.flatten())
