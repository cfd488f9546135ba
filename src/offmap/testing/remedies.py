"""The laws that every remedy obeys."""

import re
from collections.abc import Iterator

import torch

from offmap.catalog import measures
from offmap.passes import evaluating
from offmap.remedy import Remedy
from offmap.run import TrainingRun
from offmap.testing.watching import global_randomness, state


def check_remedy(remedy: Remedy, run: TrainingRun) -> None:
    """Train with a remedy, twice, on a run with a recipe.

    Raises:
        AssertionError: If it breaks a law.
    """
    found = [*_card(remedy), *_training(remedy, run)]
    if found:
        raise AssertionError(f"{remedy.name}:\n" + "\n".join(f"- {c}" for c in found))


def _card(remedy: Remedy) -> Iterator[str]:
    if not remedy.treats:
        yield "expected a measure that it should move, got none"
    for name in remedy.treats:
        if name not in measures():
            yield f"expected measures under `treats`, got {name!r}"
    if not remedy.overhead > 0:
        yield f"expected a positive overhead, got {remedy.overhead}"
    if not remedy.caution.strip() or not (remedy.function.__doc__ or "").strip():
        yield "expected a docstring and a caution, got nothing"
    if not re.match(r"https://\S+\.\S+$", remedy.paper.url):
        yield f"expected an https address, got {remedy.paper.url!r}"


def _training(remedy: Remedy, run: TrainingRun) -> Iterator[str]:
    if run.recipe is None or run.train is None:
        raise ValueError(f"expected a run with a recipe and a train split, got {run.name}")
    weights = []
    for number in (1, 2):
        with global_randomness(number):
            before = state(run)
            model = remedy(run.recipe)(run.train, torch.Generator().manual_seed(0))
            after = state(run)
        for what, value in before.items():
            if after[what] != value:
                yield f"expected {what} to be left alone, got it changed"
        weights.append(model.state_dict())
        with evaluating(model), evaluating(run.model):
            few = run.train.part(0, 8).inputs
            got, expected = model(few), run.model(few).shape
        if got.shape != expected or not bool(got.isfinite().all()):
            yield f"expected finite outputs of shape {tuple(expected)}, got {tuple(got.shape)}"
    for name, value in weights[0].items():
        if not torch.equal(value, weights[1][name]):
            yield f"expected the same {name} from the same generator, got another"
