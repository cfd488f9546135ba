"""Which score suits this network and data? Tried on strangers that are made of the data."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn

from offmap.attempt import CannotMeasure, InputError
from offmap.catalog import named
from offmap.catalog import scores as all_scores
from offmap.guard.choice import Candidate, Choice, Tried
from offmap.guard.holdout import folds
from offmap.guard.seeing import Sight
from offmap.guard.strangers import Distance, Family, Group
from offmap.guard.strangers import families as families_of
from offmap.guard.trial import Panel, Values, cell, overheads, panel, state_bytes
from offmap.inputs import head_name
from offmap.run import DEFAULT_MEMORY, Domain, Recipe, Split, TrainingRun
from offmap.score import Score
from offmap.seeds import derive, sample
from offmap.survey import examine

SHARE = 0.4  # of the calibration data, on which scores are chosen
HELD_OUT = 0.5  # the say of held-out classes, where there are any
LEAST = 50  # rows, below which a choice would be a guess
CLOSE = 0.01  # AUROC: what is this near the best is as good
ENSEMBLES = (
    ("input_neighbors", "feature_neighbors"),
    ("input_neighbors", "feature_neighbors", "virtual_logit"),
    ("input_neighbors", "mahalanobis", "energy"),
    ("input_neighbors", "mahalanobis", "virtual_logit"),
)


class Trial(NamedTuple):
    """What the candidates of one network say of the familiar and of one family of strangers.

    `counts`: whether it has a say. `paired`: stranger i is made of familiar row i.
    """

    name: str
    distance: Distance
    group: Group
    counts: bool
    paired: bool
    familiar: Values
    strange: Values


@dataclass(frozen=True, slots=True, eq=False)
class Kit:
    """What is tried, and how it is fitted to a network."""

    units: Mapping[str, Score]
    ensembles: Sequence[tuple[str, ...]]
    settings: Mapping[str, Mapping[str, Any]]
    classifies: bool
    seed: int
    memory: int

    def fitted(
        self, model: nn.Module, layer: str | None, train: Split, reference: Split
    ) -> tuple[Panel, Values]:
        """The candidates, and what each says of the reference rows."""
        return panel(
            Sight(model, layer, classifies=self.classifies), train, reference, self.units,
            self.ensembles, settings=self.settings, seed=self.seed, memory=self.memory,
        )  # fmt: skip


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
    rows: int = 1000,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    domain: Domain | None = None,
    feature_layer: str | None = None,
    seed: int = 0,
    memory: int = DEFAULT_MEMORY,
) -> Choice:
    """Tries every score on strangers made of the user's data, and says which to take.

    A score's merit is its mean AUROC over groups of families: noise, arrangement, corruption and
    composition, each weighing the same, and where a recipe is given, with half of the weight,
    classes that a retrained network never saw. Strangers are made of calibration rows, for what the
    network was trained on it may know by heart.

    Args:
        model: The trained network; classification or regression.
        train: What it was trained on.
        calibration: Fresh data from the same source; only the first part of `divided` is used.
        outliers: The user's own strangers by name: reported, with no say in the choice.
        count_outliers: Give them one: as one group more.
        scores: Names of the scores to try; all where None.
        ensembles: Members of the ensembles to try.
        families: Names of the families to try; all that fit the domain where None.
        recipe: How the network was trained; None: no classes are held out.
        retrainings: How many times classes are held out, at most.
        rows: Strangers of each family, at most.
        settings: Settings by score.
        domain: The contract of an input; read off the data where None.
        feature_layer: The layer whose input is the feature vector; the last linear one where None.
        seed: Root of every random number.
        memory: Bytes that fitting may take.

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
    kit = Kit(_units(scores), tuple(ensembles), settings or {}, _classifies(run), seed, memory)
    reference = _reference(run.shifts["calibration"], rows, seed)
    made, familiar = kit.fitted(model, head_name(run), run.train, reference)
    if not made.members:
        raise InputError(f"expected a score that can be fitted, got none: {dict(made.refused)}")
    held, note = _held_out(run, kit, reference, retrainings, rows)
    trials = [
        *_made_up(_families(families, run), reference, run, made, familiar, seed),
        *held,
        *_real({name: run.shifts[name] for name in given}, made, familiar, rows, count_outliers),
    ]
    notes = () if note is None else (note,)
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


def _made_up(
    own: Mapping[str, Family],
    reference: Split,
    run: TrainingRun,
    made: Panel,
    familiar: Values,
    seed: int,
) -> Iterator[Trial]:
    """The candidates on each family of strangers that are made of the reference rows."""
    assert run.domain is not None
    for name, family in own.items():
        strangers = family(reference, run.domain, derive(seed, "family", name))
        yield Trial(
            name, family.kind, family.group, family.strange, True, familiar, made.values(strangers)
        )


def _held_out(
    run: TrainingRun, kit: Kit, reference: Split, count: int, rows: int
) -> tuple[list[Trial], str | None]:
    """The candidates on classes that a retrained network never saw; or why there are none."""
    assert run.train is not None
    if run.recipe is None or not kit.classifies or count < 1:
        return [], (
            "no classes were held out, which needs a classifier and its recipe: the choice rests "
            "on strangers made by arithmetic, and real ones that look natural may be another matter"
        )
    found = []
    try:
        for fold in folds(
            run.recipe, head_name(run), run.train, reference, count=count, rows=rows, seed=kit.seed
        ):
            made, familiar = kit.fitted(fold.model, head_name(run), fold.train, fold.reference)
            name = f"without {', '.join(map(str, fold.left_out))}"
            strange = made.values(fold.strangers)
            found.append(Trial(name, "near", "class", True, False, familiar, strange))
    except CannotMeasure as reason:
        return [], f"no classes were held out: {reason}"
    return found, None


def _real(
    outliers: Mapping[str, Split], made: Panel, familiar: Values, rows: int, counts: bool
) -> Iterator[Trial]:
    """The candidates on the user's own strangers."""
    for name, split in outliers.items():
        few = split.take(sample(0, name, len(split), rows))
        yield Trial(name, "unknown", "outliers", counts, False, familiar, made.values(few))


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
    """Held-out classes have half of the say; the other groups share the rest in equal parts.

    They alone differ from the data as real strangers do. All other families are arithmetic on
    numbers, which a score of no other merit may see through.
    """
    counts = [trial.group for trial in trials if trial.counts]
    groups = set(counts)
    share = dict.fromkeys(groups, 1 / max(1, len(groups)))
    if "class" in groups and len(groups) > 1:
        share = dict.fromkeys(groups, (1 - HELD_OUT) / (len(groups) - 1)) | {"class": HELD_OUT}
    return {
        trial.name: Tried(
            trial.distance,
            trial.group,
            share[trial.group] / counts.count(trial.group) if trial.counts else 0.0,
            len(next(iter(trial.strange.values()))),
        )
        for trial in trials
    }


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
