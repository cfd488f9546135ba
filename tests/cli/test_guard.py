"""`offmap guard`: from a trained network to a file, its answers and its exports."""

import gc
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from offmap.guard.choice import Choice


@pytest.fixture
def network(flags) -> list[str]:
    """The options that name the network."""
    options = flags()
    return [part for name in ("--model", "--weights") for part in _option(options, name)]


@pytest.fixture
def data(flags) -> list[str]:
    options = flags()
    return [part for name in ("--train", "--test") for part in _option(options, name)]


def _option(options: list, name: str) -> list[str]:
    place = options.index(name)
    return [str(part) for part in options[place : place + 2]]


@pytest.fixture
def more(tmp_path) -> list[Path]:
    """Two files of 200 fresh digits."""
    pixels, classes = load_digits(return_X_y=True)
    images = (pixels / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    files = [tmp_path / "fresh.npz", tmp_path / "other.npz"]
    for file, rows in zip(files, (slice(300, 500), slice(500, 700)), strict=True):
        np.savez(file, x=images[rows], y=classes[rows], groups=classes[rows] % 3)
    return files


@pytest.fixture
def fitted(offmap, network, data, tmp_path) -> Path:
    """A guard file."""
    out = tmp_path / "guard.safetensors"
    ran = offmap("guard", "fit", *network, *data, "--out", out, "--score", "energy")
    assert ran.code == 0, ran
    return out


def test_fit_says_what_is_promised_and_what_is_refused(offmap, network, data, more, tmp_path):
    out, card = tmp_path / "g.safetensors", tmp_path / "card.md"
    ran = offmap(
        "guard", "fit", *network, *data, "--calibration", more[0], "--out", out, "--card", card,
        "--groups", "groups",
        "--score", "input_neighbors", "--score", "energy", "--set", "input_neighbors.k=3",
        "--alpha", "0.1",
    )  # fmt: skip
    assert ran.code == 0, ran
    text = " ".join(ran.out.split())
    assert "guarded by input_neighbors + energy" in text
    assert "of familiar inputs as off the map" in text
    assert "uniform" in text and "near" in text and "far" in text
    assert "error of accepted" in text
    assert out.is_file()
    said = card.read_text(encoding="utf-8")
    assert "input\\_neighbors" in said and "What refusing does to each group" in said
    facts = json.loads(offmap("guard", "inspect", out, "--json").out)["facts"]
    assert facts["alpha"] == 0.1
    assert facts["scores"]["input_neighbors"]["k"] == 3


def test_choose_writes_what_fit_reads(offmap, network, data, more, tmp_path):
    choice = tmp_path / "choice.json"
    fresh, other = more
    options = [*network, *data, "--calibration", fresh]
    ran = offmap(
        "guard", "choose", *options, "--out", choice, "--rows", "50",
        "--score", "energy", "--score", "max_softmax", "--outlier", f"others={other}",
    )  # fmt: skip
    assert ran.code == 0, ran
    found = Choice.from_json(choice.read_text(encoding="utf-8"))
    assert set(found.best) <= {"energy", "max_softmax"}
    assert f"Take {' + '.join(found.best)}." in ran.out
    assert "others" in ran.out
    out = tmp_path / "g.safetensors"
    ran = offmap("guard", "fit", *options, "--choice", choice, "--out", out)
    assert ran.code == 0, ran
    options[-1] = other
    ran = offmap("guard", "fit", *options, "--choice", choice, "--out", out)
    assert ran.code == 2
    assert "expected the data with which the score was chosen" in ran.err


def test_answers_in_words_as_json_and_as_a_picture(offmap, network, data, fitted, tmp_path):
    given = np.load(data[3])["x"][:3].copy()
    given[1] = np.nan
    inputs, picture = tmp_path / "in.npy", tmp_path / "answer.png"
    np.save(inputs, given)
    ran = offmap("guard", "answer", fitted, inputs, *network, "--row", "0", "--picture", picture)
    assert ran.code == 0, ran
    assert "nearest training example: row" in ran.out
    with Image.open(picture) as image:
        assert min(image.size) > 64
    ran = offmap("guard", "answer", fitted, inputs, *network, "--json")
    lines = [json.loads(line) for line in ran.out.splitlines()]
    assert [line["row"] for line in lines] == [0, 1, 2]
    assert lines[1]["reason"] == "contract" and lines[1]["p_value"] is None
    assert len(lines[0]["neighbors"]) == 5


def test_strangers_of_a_batch(offmap, network, data, fitted):
    ran = offmap("guard", "answer", fitted, data[3], *network, "--discoveries", "0.1", "--json")
    assert ran.code == 0, ran
    found = json.loads(ran.out)
    assert found["rows"] == 100 and len(found["strangers"]) <= 100
    ran = offmap("guard", "answer", fitted, data[3], *network, "--discoveries", "0.1")
    assert f"{len(found['strangers'])} of 100 rows are called strangers" in ran.out


def test_attack_says_both_shares(offmap, network, data, fitted):
    ran = offmap(
        "guard", "attack", fitted, *network, *data[2:], "--examples", "10", "--steps", "3",
        "--restarts", "1", "--radius", "0.2",
    )  # fmt: skip
    assert ran.code == 0, ran
    text = " ".join(ran.out.split())
    assert "attacker does not know the guard" in text
    assert "attacker knows the guard" in text
    ran = offmap(
        "guard", "attack", fitted, *network, *data[2:], "--examples", "10", "--steps", "3",
        "--restarts", "1", "--strangers", data[1],
    )  # fmt: skip
    assert ran.code == 0, ran
    assert "accepted as they are" in " ".join(ran.out.split())


def test_export(offmap, network, fitted, tmp_path):
    for name in ("guarded.pt2", "guarded.onnx"):
        ran = offmap("guard", "export", fitted, tmp_path / name, *network)
        assert ran.code == 0, ran
        assert (tmp_path / name).stat().st_size > 1000


@pytest.fixture
def refused(offmap):
    def run(*arguments) -> str:
        ran = offmap("guard", *arguments)
        assert ran.code == 2, ran
        assert ran.err.startswith("offmap: ") and ran.err.count("\n") == 1, ran.err
        assert "Traceback" not in ran.err + ran.out
        return ran.err

    return run


def test_what_cannot_be_used_is_one_sentence(refused, network, data, fitted, tmp_path, flags):
    assert "did you mean energy" in refused("fit", *network, *data, "--score", "enrgy")
    assert "between 0 and 1, got 1.5" in refused("fit", *network, *data, "--alpha", "1.5")
    assert "a setting out of" in refused("fit", *network, *data, "--set", "feature_neighbors.q=1")
    assert "expected a value like" in refused(
        "fit", *network, *data, "--set", "feature_neighbors.k=many"
    )
    assert "to calibrate on, got neither" in refused("fit", *network, *data[:2])
    train = data[1]
    assert "that stand in train as well" in refused(
        "fit", *network, *data[:2], "--calibration", train
    )
    assert "got none of that name" in refused("inspect", tmp_path / "no.safetensors")
    assert "without its header" in refused("inspect", network[3])
    assert "got both: leave one out" in refused(
        "fit", *network, *data, "--score", "energy", "--choice", tmp_path / "c.json"
    )
    assert "expected rows from 0 to" in refused(
        "answer", fitted, data[3], *network, "--row", "100000"
    )
    assert "expected no --calibration with a run file or --demo" in refused(
        "fit", "--demo", "digits", "--calibration", train
    )


def test_another_network_is_refused(refused, network, fitted):
    fresh = network[:2]  # the factory without the weights
    assert "expected the network that the guard was fitted on" in refused(
        "export", fitted, "out.onnx", *fresh
    )


def test_serve_gathers_as_long_as_it_is_told(offmap, network, fitted, monkeypatch):
    limits = pytest.importorskip("offmap.guard.serve.limits")
    found = []

    def run(server):
        found.append(server.config.app.state.service.limits.gather_seconds)

    monkeypatch.setattr("uvicorn.Server.run", run)
    try:
        for options in ([], ["--gather", "0"]):
            ran = offmap("guard", "serve", fitted, *network, *options)
            assert ran.code == 0, ran
    finally:
        gc.unfreeze()
    assert found == [limits.Limits().gather_seconds, 0.0]
