"""The command line, run in this process, and a small model with its data in files."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.datasets import load_digits

from offmap.cli import main

NETS = """
import torch
from torch import nn


def build(width: int = 4) -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(width, 10),
    )


def broken(width: int = 4) -> nn.Module:
    raise RuntimeError(f"cannot build a width of {width}")


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = build()


class Pair(Net):
    def forward(self, inputs):
        return self.net(inputs), inputs


class InPlace(Net):
    def forward(self, inputs):
        return self.net(inputs.mul_(0.5))


class Logarithm(Net):
    def forward(self, inputs):
        return self.net(inputs) + inputs.flatten(1).sum(dim=1, keepdim=True).log()
"""
RUN_FILE = """
import torch

from nets import build
from offmap import Split, TrainingRun, load_split


def run(shrink: float = 1.0, name: str = "mine", test: bool = True) -> TrainingRun:
    print("the run file talks")
    torch.manual_seed(0)
    model = build(4)
    with torch.no_grad():
        model[-1].weight.mul_(shrink)
    train = load_split("{folder}/train.npz", name="train")
    return TrainingRun(model, train, load_split("{folder}/test.npz") if test else None, name=name)
"""


@dataclass
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str


@pytest.fixture
def offmap(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """A command by its arguments."""

    def run(*arguments: object) -> Ran:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """300 digits: images [300, 1, 8, 8] in [0, 1] and their classes."""
    pixels, classes = load_digits(return_X_y=True)
    return (pixels[:300] / 16).astype(np.float32).reshape(-1, 1, 8, 8), classes[:300]


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory, digits) -> Path:
    """A folder with `nets.py`, `run.py`, `w.safetensors`, and train, test and fog as npz."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "nets.py").write_text(NETS)
    (folder / "run.py").write_text(RUN_FILE.replace("{folder}", str(folder)))
    images, classes = digits
    for name, rows, moved in (
        ("train", slice(200), 1),
        ("test", slice(200, 300), 1),
        ("fog", slice(200, 300), 0.4),
    ):
        np.savez(
            folder / f"{name}.npz",
            x=moved * images[rows],
            y=classes[rows],
            groups=classes[rows] % 3,
        )
    save_file(weights(), folder / "w.safetensors")
    return folder


def weights(width: int = 4) -> dict[str, torch.Tensor]:
    """Of the network in `nets.py`, from a fixed seed."""
    names: dict[str, object] = {}
    exec(NETS, names)
    torch.manual_seed(0)
    return names["build"](width).state_dict()


@pytest.fixture
def flags(place: Path, tmp_path: Path) -> Callable[..., list[object]]:
    """The options of an audit of that model into `tmp_path / "out"`; None leaves one out."""

    def options(*more: object, **changed: object) -> list[object]:
        said = {
            "model": f"{place / 'nets.py'}:build",
            "weights": place / "w.safetensors",
            "train": place / "train.npz",
            "test": place / "test.npz",
            "measures": "overparameterization",
            "threads": 1,
            "out": tmp_path / "out",
        } | changed
        words = [
            word
            for name, value in said.items()
            if value is not None
            for word in (f"--{name}", value)
        ]
        return ["audit", *words, *more]

    return options
