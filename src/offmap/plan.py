"""What can run, why the rest cannot, and what it will cost in seconds and bytes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from offmap.attempt import InputError
from offmap.catalog import measures, named, unknown
from offmap.inputs import (
    VOCABULARY,
    ClassPredictions,
    RealPredictions,
    ReconstructionPredictions,
    TokenPredictions,
    home,
)
from offmap.measure import QUESTIONS, Cost, Measure, like
from offmap.run import Split, Task, TrainingRun

PREDICTIONS: Mapping[Task, type] = {
    "classification": ClassPredictions,
    "regression": RealPredictions,
    "reconstruction": ReconstructionPredictions,
    "tokens": TokenPredictions,
}


@dataclass(frozen=True, slots=True)
class Planned:
    """A measure on a split, before it runs.

    Args:
        measure: Name of the measure.
        question: Name of its question.
        split: Name of the split; empty where the measure is not about one.
        cost: Label of its cost class.
        seconds: Estimated time, shared work apart.
        peak_bytes: Estimated peak of resident memory above that of the bare import.
        reason: Why it will not run; empty where it will.
    """

    measure: str
    question: str
    split: str
    cost: str
    seconds: float = 0.0
    peak_bytes: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Shared:
    """Work that several measures read: a forward pass or a neighbor search over one split."""

    work: str
    split: str
    seconds: float
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What an audit will do, in the order in which it will do it."""

    items: tuple[Planned, ...]
    shared: tuple[Shared, ...] = ()

    @property
    def runs(self) -> tuple[Planned, ...]:
        """What will run."""
        return tuple(item for item in self.items if not item.reason)

    @property
    def left_out(self) -> tuple[Planned, ...]:
        """What will not, each with its reason."""
        return tuple(item for item in self.items if item.reason)

    @property
    def seconds(self) -> float:
        """Estimated time of everything."""
        return sum(item.seconds for item in (*self.runs, *self.shared))


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """A measure, where it is read, with which settings; and why it cannot be, if it cannot."""

    measure: Measure
    split: str
    settings: Mapping[str, object]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Selection:
    """What the user asked for, checked against the measures that exist.

    Args:
        max_cost: Leave out measures that cost more.
        only: Names of measures; empty for all.
        skip: Names of measures to leave out.
        settings: By measure and setting.

    Raises:
        InputError: If a measure or a setting does not exist, or a value does not fit.
    """

    max_cost: Cost = Cost.RETRAIN
    only: Sequence[str] = ()
    skip: Sequence[str] = ()
    settings: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in (*self.only, *self.skip, *self.settings):
            named(name, measures(), "measure")
        for name, given in self.settings.items():
            bind(measures()[name], given)


def choose(run: TrainingRun, selection: Selection) -> list[Choice]:
    """Every selected measure on every split that it is read on, in the order of the questions."""
    order = list(QUESTIONS)
    wanted = [
        unit
        for name, unit in measures().items()
        if (not selection.only or name in selection.only) and name not in selection.skip
    ]
    wanted.sort(key=lambda unit: (order.index(unit.question), unit.cost, unit.name))
    return [
        Choice(unit, split, bound, reason)
        for unit in wanted
        for bound in [bind(unit, selection.settings.get(unit.name, {}))]
        for split, reason in _places(run, unit, selection.max_cost)
    ]


def bind(unit: Measure, given: Mapping[str, object]) -> dict[str, object]:
    """The measure's settings, with those given in place of their defaults.

    Raises:
        InputError: If a name is unknown, or a value is of another kind than the default.
    """
    bound = dict(unit.settings)
    for name, value in given.items():
        if name not in bound:
            raise InputError(unknown(name, bound, f"setting of {unit.name}"))
        bound[name] = like(bound[name], value, f"{unit.name}.{name}")
    return bound


def _places(run: TrainingRun, unit: Measure, max_cost: Cost) -> list[tuple[str, str]]:
    """Where a measure is read: names of splits, each with the reason why not (or nothing)."""
    shifts = list(run.shifts)
    places = {
        "none": [""],
        "every": [*(["test"] if run.test is not None else []), *shifts],
        "shifts": shifts,
    }[unit.reads_splits]
    if not places:
        what = "a shift to compare with test" if unit.reads_splits == "shifts" else "a test split"
        return [("", f"needs {what}, and the run has none")]
    return [(split, _reason(run, unit, split, max_cost)) for split in places]


def _reason(run: TrainingRun, unit: Measure, split: str, max_cost: Cost) -> str:
    if unit.cost > max_cost:
        return f"costs {unit.cost.label}, more than the {max_cost.label} allowed"
    assert run.task is not None
    kinds = unit.tasks
    if kinds is not None and PREDICTIONS[run.task] not in kinds:
        tasks = [task for task, kind in PREDICTIONS.items() if kind in kinds]
        return f"is about {' or '.join(tasks)}, and this is {run.task}"
    for word in unit.needs:
        if reason := missing(run, word, split):
            return reason
    return ""


def missing(run: TrainingRun, word: str, split: str) -> str:
    """Why a run cannot give a word to a measure that reads `split`; empty if it can."""
    prefix, base = home(word)
    if prefix == "all":
        others = [value for name, value in run.splits.items() if name != "train"]
        if not others:
            return f"needs a test split or a shift for the {base}, and the run has neither"
        reasons = [VOCABULARY[word].missing(run, value) for value in others]
        return (reasons[0] or "") if all(reasons) else ""
    name = prefix or split
    where: Split | None = run.splits.get(name)
    if prefix is not None and where is None:
        return f"needs a {prefix} split, and the run has none"
    return VOCABULARY[word].missing(run, where) or ""


def splits_of(run: TrainingRun, word: str, split: str) -> tuple[str, ...]:
    """Names of the splits from which a word is made, for a measure that reads `split`."""
    prefix, _ = home(word)
    if not VOCABULARY[word].per_split:
        return ()
    if prefix != "all":
        return (prefix or split,)
    given = {name: value for name, value in run.splits.items() if name != "train"}
    return tuple(n for n, value in given.items() if not VOCABULARY[word].missing(run, value))
