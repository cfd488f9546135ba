"""Every score against every family of strangers, on networks trained without two classes.

    python benchmarks/guard_scores.py --data FOLDER --work FOLDER --out docs/guard_scores.md

--data holds mnist.npz, fashion_mnist.npz, cifar10-train.parquet and cifar10-test.parquet (default:
$OFFMAP_DATA, or ../shared/data beside the repository). --work keeps trained weights and results by
data set and seed: a run that was stopped goes on there. --only digits,mnist restricts it.

For each data set and seed: one network that never saw two of the ten classes; every score fitted
to it; AUROC and FPR95 against fresh test data; the score that `choose` picks without having seen a
real stranger; and the false-alarm rate of a guard at alpha 0.05 on test data, held against the law
that the promise has with so much calibration and test data.
"""

import argparse
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import mean
from time import perf_counter

import torch
from guard_page import ALPHA, Result, document
from guard_worlds import World, world

from offmap import Split
from offmap.catalog import scores as all_scores
from offmap.guard.choice import Candidate, Choice
from offmap.guard.choose import ENSEMBLES, choose, divided, shares
from offmap.guard.fit import fit_guard
from offmap.guard.seeing import Sight
from offmap.guard.strangers import FAMILIES
from offmap.guard.trial import Panel, panel
from offmap.numerics.conformal import knots
from offmap.numerics.corners import p_value
from offmap.numerics.detection import detect
from offmap.passes import evaluating, feature_layer
from offmap.seeds import derive

ROWS = 2000  # of test data that strangers are held against
MADE_ROWS = 1000  # of test data that strangers are made of
MADE = (
    "mixed", "spliced", "patched", "noisy 3", "blurred 3", "faded 3", "inverted", "turned",
    "permuted", "blocks", "constant", "uniform", "gaussian",
)  # fmt: skip
RETRAININGS = {"digits": 2, "mnist": 1, "fashion": 2, "cifar10": 1}  # of `choose`
MEMORY = 2 * 2**30


def strangers(here: World) -> Iterator[tuple[str, Split]]:
    """Every family: real strangers first."""
    yield from here.strangers.items()
    source = here.test.window(0, MADE_ROWS)
    for name in MADE:
        yield name, FAMILIES[name](source, here.domain, derive(here.seed, "benchmark", name))


def measured(here: World, retrainings: int) -> Result:
    """Everything about one world."""
    start = perf_counter()
    choice = choose(
        here.model, here.train, here.calibration, domain=here.domain, seed=here.seed,
        recipe=here.recipe, retrainings=retrainings, memory=MEMORY,
    )  # fmt: skip
    choices = {"data alone": without_recipe(choice)}
    if retrainings:
        choices["with recipe"] = choice
    reference, calibration = divided(here.calibration, here.seed)
    made, _ = panel(
        Sight(here.model, feature_layer(here.model), classifies=True), here.train, reference,
        all_scores(), ENSEMBLES, settings={}, seed=here.seed, memory=MEMORY,
    )  # fmt: skip
    familiar = made.values(here.test)
    cells: dict[str, dict[str, tuple[float, float]]] = {name: {} for name in made.candidates}
    for family, split in strangers(here):
        for name, values in made.values(split).items():
            found = detect(familiar[name][:ROWS], values)
            cells[name][family] = (float(found.auroc), float(found.fpr))
    return {
        "accuracy": here.accuracy,
        "left_out": here.left_out,
        "counts": (len(here.train), len(calibration), len(here.test)),
        "chosen": {name: " + ".join(choice.best) for name, choice in choices.items()},
        "tried": {
            one.name: {name: found.auroc.value for name, found in one.cells.items()}
            for one in choice.candidates
        },
        "groups": {name: tried.group for name, tried in choice.families.items() if tried.weight},
        "refused": dict(made.refused),
        "cells": cells,
        "alarms": alarms(made, calibration, familiar),
        "guard": guarded(here, choices["data alone"]),
        "seconds": perf_counter() - start,
    }


def without_recipe(choice: Choice) -> Choice:
    """What would have been chosen had no network been retrained without some classes."""
    groups: dict[str, list[str]] = {}
    for name, family in choice.families.items():
        if family.weight and family.group != "class":
            groups.setdefault(family.group, []).append(name)
    share = shares(groups)

    def merit(one: Candidate) -> float:
        return sum(
            share[group] * mean(one.cells[name].auroc.value for name in names)
            for group, names in groups.items()
        )

    return replace(choice, best=max(choice.candidates, key=merit).scores)


def alarms(made: Panel, calibration: Split, familiar: Mapping[str, torch.Tensor]) -> dict[str, int]:
    """How many test rows a guard refuses at ALPHA, for each score."""
    found = {}
    for name, values in made.values(calibration).items():
        corners = knots(values)
        p = p_value(familiar[name], corners.position[None], corners.level[None])
        found[name] = int((p <= ALPHA).sum())
    return found


def guarded(here: World, chosen: Choice) -> dict[str, int]:
    """How many test rows a guard made by `fit_guard` refuses, with what it was calibrated on."""
    guard = fit_guard(
        here.model, here.train, here.calibration, score=chosen, alpha=ALPHA,
        domain=here.domain, memory=MEMORY, atlas=500,
    )  # fmt: skip
    refused = 0
    with evaluating(guard):
        for batch in here.test.batches(500):
            refused += int((~guard(batch.inputs).accepted).sum())
    return {"calibration": guard.facts.counts["calibration"], "refused": refused}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("OFFMAP_DATA", beside)))
    parser.add_argument("--work", type=Path, default=Path("guard-scores"))
    parser.add_argument("--only", default="digits,mnist,cifar10")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--retrainings", type=int, default=None, help="of `choose`")
    parser.add_argument("--out", type=Path, default=None, help="a markdown file")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    results: dict[str, list[Result]] = {}
    for kind in given.only.split(","):
        for seed in range(given.seeds):
            file = given.work / f"{kind}-{seed}.json"
            if not file.exists():
                here = world(kind, seed, given.data, given.work)
                times = RETRAININGS[kind] if given.retrainings is None else given.retrainings
                file.write_text(json.dumps(measured(here, times)))
            results.setdefault(kind, []).append(json.loads(file.read_text()))
            print(kind, seed, results[kind][-1]["chosen"], flush=True)
    only = "" if given.only == "digits,mnist,cifar10" else f" --only {given.only}"
    page = document(results, f"python benchmarks/guard_scores.py{only} --out docs/guard_scores.md")
    if given.out is None:
        print(page)
    else:
        given.out.write_text(page)


if __name__ == "__main__":
    main()
