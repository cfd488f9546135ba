"""Which score suits this network and data? Tried on strangers that are made of the data."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from offmap.attempt import InputError
from offmap.catalog import named
from offmap.catalog import scores as all_scores
from offmap.guard.choice import Candidate, Choice, Tried
from offmap.guard.kit import Kit, Trial, made_up, of_classes, real
from offmap.guard.progress import Agenda, Watch
from offmap.guard.strangers import Family
from offmap.guard.strangers import families as families_of
from offmap.guard.trial import Panel, cell, overheads, state_bytes
from offmap.inputs import head_name
from offmap.run import DEFAULT_MEMORY, Domain, Recipe, Split, TrainingRun
from offmap.score import Score
from offmap.seeds import derive, sample
from offmap.survey import examine

SHARE = 0.4  # of the calibration data, on which scores are chosen
CLASSES = 0.5  # the say of classes that play the strangers, where there are any
LEAST = 50  # rows, below which a choice would be a guess
CLOSE = 0.01  # AUROC: what is this near the best is as good
ENSEMBLES = (
    ("input_neighbors", "feature_neighbors"),
    ("input_neighbors", "feature_neighbors", "virtual_logit"),
    ("input_neighbors", "mahalanobis", "energy"),
    ("input_neighbors", "mahalanobis", "virtual_logit"),
)


def divided(calibration: Split, seed: int) -> tuple[Split, Split]:
    """The calibration rows on which a score is chosen, and those left to calibrate it.

    A guard's promise is for a score that its calibration rows had no part in choosing. The order
    is the one that `fit_guard` draws with the same seed.
    """
    order = torch.randperm(len(calibration), generator=derive(seed, "uses"))
    count = round(SHARE * len(order))
    first, rest = order[:count].sort().values, order[count:].sort().values
    return calibration.take(first), calibration.take(rest)


def choose(
    model: nn.Module,
    train: Split,
    calibration: Split,
    *,
    outliers: Mapping[str, Split] | None = None,
    count_outliers: bool = False,
    scores: Sequence[str] | None = None,
    ensembles: Sequence[tuple[str, ...]] = ENSEMBLES,
    families: Sequence[str] | None = None,
    recipe: Recipe | None = None,
    retrainings: int = 2,
    leavings: int = 5,
    rows: int = 1000,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    domain: Domain | None = None,
    feature_layer: str | None = None,
    seed: int = 0,
    memory: int = DEFAULT_MEMORY,
    work: Path | None = None,
    watch: Watch | None = None,
) -> Choice:
    """Tries every score on strangers made of the user's data, and says which to take.

    A score's merit is its mean AUROC over groups of families. Classes that play the strangers have
    half of the weight: those left out of the scores and of the network's head, and where a recipe
    is given, in equal parts with these, those that a retrained network never saw. The other half
    goes in equal parts to noise, arrangement, corruption and composition. Strangers are made of
    calibration rows, for what the network was trained on it may know by heart.

    Args:
        model: The trained network; classification or regression.
        train: What it was trained on.
        calibration: Fresh data from the same source; only the first part of `divided` is used.
        outliers: The user's own strangers by name: reported, with no say in the choice.
        count_outliers: Give them one: as one group more.
        scores: Names of the scores to try; all where None.
        ensembles: Members of the ensembles to try.
        families: Names of the families to try; all that fit the domain where None.
        recipe: How the network was trained; None: none is retrained.
        retrainings: How many networks are trained without a fifth of the classes each, at most.
        leavings: How many times a fifth of the classes is left out of the scores, at most.
        rows: Strangers of each family, at most.
        settings: Settings by score.
        domain: The contract of an input; read off the data where None.
        feature_layer: The layer whose input is the feature vector; the last linear one where None.
        seed: Root of every random number.
        memory: Bytes that fitting may take.
        work: A folder in which retrained networks are kept, so that a choice that was stopped goes
            on there; to be emptied when the code of the recipe's loss or schedule changes.
        watch: Told how far the work has come.

    Raises:
        InputError: If model, data or settings cannot be used, or no score can be fitted.
    """
    given = {f"outliers {name}": Split(split.table) for name, split in (outliers or {}).items()}
    run, seen = examine(
        TrainingRun(
            model, train, shifts={"calibration": calibration, **given}, domain=domain,
            feature_layer=feature_layer, recipe=recipe,
        ).with_memory(memory)
    )  # fmt: skip
    assert run.train is not None
    kit = Kit(
        _units(scores), tuple(ensembles), settings or {}, _classifies(run), seed, memory,
        Agenda(watch), work,
    )  # fmt: skip
    reference, own = _reference(run.shifts["calibration"], rows, seed), _families(families, run)
    kit.agenda.expect(dict.fromkeys(kit.units, 1) | {"strangers": len(own)})
    made, familiar = kit.fitted(run.model, head_name(run), run.train, reference)
    if not made.members:
        raise InputError(f"expected a score that can be fitted, got none: {dict(made.refused)}")
    trials = list(made_up(own, reference, run, made, familiar, kit))
    played, notes = of_classes(run, kit, reference, leavings, retrainings, rows)
    others = {name: run.shifts[name] for name in given}
    trials += [*played, *real(others, made, familiar, rows, count_outliers)]
    return _choice(made, trials, reference, notes, seen["calibration"].fingerprint, seed)


def _units(scores: Sequence[str] | None) -> dict[str, Score]:
    known = all_scores()
    return {name: named(name, known, "score") for name in scores or known}


def _classifies(run: TrainingRun) -> bool:
    """Whether the model classifies.

    Raises:
        InputError: If the task is none that a guard knows.
    """
    if run.task not in ("classification", "regression"):
        raise InputError(f"expected a classifier or a regression to guard, got {run.task}")
    return run.task == "classification"


def _reference(calibration: Split, rows: int, seed: int) -> Split:
    """The rows on which scores are tried.

    Raises:
        InputError: If there are too few.
    """
    reference, _ = divided(calibration, seed)
    if len(reference) < LEAST:
        raise InputError(
            f"calibration: expected at least {round(LEAST / SHARE)} examples, to choose a score on "
            f"{SHARE:.0%} of them, got {len(calibration)}"
        )
    return reference.take(sample(seed, "reference", len(reference), rows))


def _families(names: Sequence[str] | None, run: TrainingRun) -> dict[str, Family]:
    """The families to try.

    Raises:
        InputError: If one is unknown, or does not fit the domain.
    """
    assert run.domain is not None
    known = families_of(run.domain)
    if names is None:
        return known
    return {name: named(name, known, "family of strangers") for name in names}


def _choice(
    made: Panel,
    trials: Sequence[Trial],
    reference: Split,
    notes: tuple[str, ...],
    calibration: str,
    seed: int,
) -> Choice:
    """The table, and the candidate of the greatest merit.

    Raises:
        InputError: If no family counts, or no score ranks strangers.
    """
    tried = _weighed(trials)
    if not any(family.weight for family in tried.values()):
        raise InputError(f"expected a family with a say in the choice, got {list(tried)}")
    costs, held = overheads(made, reference), state_bytes(made)
    refused = dict(made.refused)
    candidates = []
    for name, members in made.candidates.items():
        if (reason := _unranked(name, trials)) is not None:
            refused[name] = reason
            continue
        cells = {
            trial.name: cell(
                trial.familiar[name], trial.strange[name], paired=trial.paired,
                generator=derive(seed, "intervals", trial.name),
            )
            for trial in trials
        }  # fmt: skip
        area = {family: found.auroc.value for family, found in cells.items()}
        merit = sum(tried[family].weight * value for family, value in area.items())
        near, far = (
            _mean([value for family, value in area.items()
                   if tried[family].weight and tried[family].distance == kind])
            for kind in ("near", "far")
        )  # fmt: skip
        candidates.append(Candidate(members, merit, near, far, costs[name], held[name], cells))
    if not candidates:
        raise InputError(f"expected a score that ranks strangers, got none: {refused}")
    candidates.sort(key=lambda one: (-one.merit, len(one.scores), one.name))
    return Choice(
        candidates[0].scores, _why(candidates, tried), tuple(candidates), refused, tried, notes,
        len(reference), calibration, seed,
    )  # fmt: skip


def _weighed(trials: Sequence[Trial]) -> dict[str, Tried]:
    """Families of one group share what it has to say."""
    counts = [trial.group for trial in trials if trial.counts]
    share = shares(set(counts))
    return {
        trial.name: Tried(
            trial.distance,
            trial.group,
            share[trial.group] / counts.count(trial.group) if trial.counts else 0.0,
            len(next(iter(trial.strange.values()))),
        )
        for trial in trials
    }


def shares(groups: Collection[str]) -> dict[str, float]:
    """What each group has to say: classes have half of it, however they come to play strangers.

    They alone differ from the data as real strangers do. All other families are arithmetic on
    numbers, which a score of no other merit may see through.
    """
    played = {"left out", "class"} & set(groups)
    others = set(groups) - played
    if not played or not others:
        return dict.fromkeys(groups, 1 / max(1, len(groups)))
    return dict.fromkeys(played, CLASSES / len(played)) | dict.fromkeys(
        others, (1 - CLASSES) / len(others)
    )


def _unranked(name: str, trials: Sequence[Trial]) -> str | None:
    """Why a candidate has no place in the table; None if it has one."""
    for trial in trials:
        if name not in trial.strange:
            return f"it cannot be fitted for {trial.name}"
        if bool(trial.strange[name].isnan().any()):
            return f"its score of a stranger ({trial.name}) is not a number"
    return None


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _why(candidates: Sequence[Candidate], tried: Mapping[str, Tried]) -> str:
    """The reason for the first candidate, and what a cheaper one would give up."""
    best = candidates[0]
    count = sum(family.weight > 0 for family in tried.values())
    parts = ", ".join(
        f"{kind} {value:.3f}" for kind, value in (("near", best.near), ("far", best.far))
        if value is not None
    )  # fmt: skip
    said = (
        f"{best.name} has the best mean AUROC, {best.merit:.3f}, over {count} families of "
        f"strangers made of your own data ({parts}); it takes {best.overhead:.2g} times the "
        f"network's own time and keeps {best.state_bytes / 2**20:.3g} MiB."
    )
    cheap = min(
        (one for one in candidates if best.merit - one.merit <= CLOSE), key=lambda one: one.overhead
    )
    if cheap.overhead < best.overhead / 2:
        said += (
            f" {cheap.name} reaches {cheap.merit:.3f} in {cheap.overhead:.2g} times that time and "
            f"keeps {cheap.state_bytes / 2**20:.3g} MiB."
        )
    return said
