"""Fingerprints of what a result depends on: nothing stale is ever reused."""

import importlib
import inspect
import json
from collections.abc import Mapping
from functools import cache
from hashlib import blake2b
from pathlib import Path

import numpy
import scipy
import torch

from offmap.attempt import Failure, attempt
from offmap.catalog import measures
from offmap.run import Recipe, TrainingRun
from offmap.survey import Survey, fingerprint_model, fingerprint_weights


def fingerprints(run: TrainingRun, seen: Mapping[str, Survey], threads: int) -> dict[str, str]:
    """Of the code, the model, what was settled about the run, its recipe and history, and more.

    Splits stand under `split:<name>`, measures under `measure:<name>`.

    Args:
        run: With its domain settled.
        seen: What the survey found, by split.
        threads: That each task computes with; part of the last bits of every number.
    """
    first = next(iter(run.splits.values()))
    said = [
        str(run.domain), run.task, run.feature_layer, list(run.class_names or ()), threads,
        *(library.__version__ for library in (torch, numpy, scipy)),
    ]  # fmt: skip
    prints = {
        "code": code(),
        "model": fingerprint_model(run.model, first),
        "settled": _hash(json.dumps(said)),
        **{f"split:{name}": survey.fingerprint for name, survey in seen.items()},
        **{f"measure:{n}": source(unit.function.__module__) for n, unit in measures().items()},
    }
    if run.recipe is not None:
        prints["recipe"] = recipe(run.recipe)
    if run.history is not None:
        columns = {"correct": run.history.correct, "loss": run.history.loss}
        prints["history"] = fingerprint_weights({n: c for n, c in columns.items() if c is not None})
    if run.checkpoints:
        prints["checkpoints"] = _hash(
            "".join(f"{c.epoch} {fingerprint_weights(c.weights)}" for c in run.checkpoints)
        )
    return prints


@cache
def code() -> str:
    """Of every source file of offmap."""
    root = Path(__file__).parents[1]
    digest = blake2b(digest_size=16)
    for path in sorted(root.rglob("*.py")):
        if "report" not in path.parts and "cli" not in path.parts:
            digest.update(path.read_bytes())
    return digest.hexdigest()


@cache
def source(module: str) -> str:
    """Of a measure's module; outside offmap, of the whole package that it lies in."""
    package = importlib.import_module(module.partition(".")[0])
    if package.__name__ == "offmap" or not hasattr(package, "__path__"):
        files = [Path(inspect.getfile(importlib.import_module(module)))]
    else:
        files = sorted(path for root in package.__path__ for path in Path(root).rglob("*.py"))
    return _hash(b"".join(path.read_bytes() for path in files))


def recipe(given: Recipe) -> str:
    """Of a recipe: what it builds from a fixed seed, and how its parts are written."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        model = given.build()
    optimizer = given.optimizer(model.parameters())
    said = [
        str(model), fingerprint_weights(model.state_dict()), type(optimizer).__name__,
        str({k: v for k, v in optimizer.defaults.items() if not callable(v)}),
        given.epochs, given.batch_size,
        *(_written(part) for part in (given.loss, given.schedule)),
    ]  # fmt: skip
    return _hash(json.dumps(said, default=str))


def _written(part: object) -> str:
    """The source of a callable, or how it prints where there is none."""
    text = attempt(lambda: inspect.getsource(part))  # type: ignore[arg-type]
    return str(part) if isinstance(text, Failure) else text


def _hash(text: str | bytes) -> str:
    raw = text.encode() if isinstance(text, str) else text
    return blake2b(raw, digest_size=16).hexdigest()
