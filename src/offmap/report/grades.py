"""The verdicts: computed here and nowhere else, from headline readings, by lines that are data.

A line has a good end and a bad end. A reading *holds* if its whole interval is on the good side of
the good end, *does not hold* if its whole interval is beyond the bad end, and holds *partly*
otherwise: an interval that straddles an end proves nothing. A question does not hold if one of its
readings does not, holds if all that could be taken do, and is *not measured* if none could.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from offmap.estimate import Estimate
from offmap.figures import Gallery
from offmap.measure import QUESTIONS, Card
from offmap.reading import Entry, Failed, Reading, Skipped
from offmap.report import words
from offmap.report.report import Report

State = Literal["holds", "partly", "does not hold", "not measured"]
Where = Literal["test", "shifts", "any"]

GRADED = ("expressivity", "trainability", "weak_generalization", "strong_generalization")
NAMED = 40  # rows of a split that a step points at
WHY = ("continuity", "geometry", "memorization", "representation")


@dataclass(frozen=True, slots=True)
class Line:
    """Where a measure is good and where it is bad.

    Args:
        measure: Its name.
        good: The value that it must reach to hold.
        bad: The value beyond which it does not.
        says: What is compared, as the subject of a sentence; `{split}` is where.
        part: Name of the part that is read; the headline where empty.
        on: Which readings count: on test, on the shifts, or on any split; the worst decides.
        tasks: The tasks whose numbers have the scale of the line; all where empty.
        percent: Whether a part is read as a percentage; of headlines the card says it.
        relative: Whether the value is divided by the reading's null.
    """

    measure: str
    good: float
    bad: float
    says: str
    part: str = ""
    on: Where = "any"
    tasks: tuple[str, ...] = ()
    percent: bool = False
    relative: bool = False

    @property
    def sign(self) -> int:
        """1 if higher is better, else -1."""
        return 1 if self.good >= self.bad else -1

    def judge(self, estimate: Estimate) -> State:
        """What the whole interval says."""
        if self.excess(estimate, farthest=True) <= 0:
            return "holds"
        return "does not hold" if self.excess(estimate) > 1 else "partly"

    def excess(self, estimate: Estimate, *, farthest: bool = False) -> float:
        """How far the interval's better end (or worse end) lies past the good end of the line.

        In units of the distance from good to bad: 0 at the good end, 1 at the bad one.
        """
        end = estimate.low if farthest == (self.sign > 0) else estimate.high
        return (self.good - end) / (self.good - self.bad)

    def rule(self, percent: bool) -> str:
        """The line in words."""
        good, bad = words.number(self.good, percent), words.number(self.bad, percent)
        if self.sign > 0:
            return f"holds at {good} or more, does not hold below {bad}"
        return f"holds at {good} or less, does not hold above {bad}"


SHARES = ("classification", "tokens")  # tasks whose errors are shares
REALS = ("regression", "reconstruction")  # tasks whose errors are squares, in the data's own unit

LINES: dict[str, tuple[Line, ...]] = {
    "expressivity": (
        Line(
            "overparameterization", 0.1, 0.001, "Parameters for each number to fit",
            part="parameters per number to fit",
        ),
        Line(
            "random_label_fit", 0.95, 0.7, "Accuracy on its own training labels, trained again",
            part="accuracy on true labels", percent=True,
        ),
    ),
    "trainability": (
        Line("gradient_signal", 0.02, 0.002, "Share of examples that the gradient rests on"),
        Line("seed_spread", 0.01, 0.03, "Spread of the test error over seeds", tasks=SHARES),
    ),
    "weak_generalization": (
        Line(
            "generalization_gap", 0.03, 0.1, "Error on {split} minus error on train",
            on="test", tasks=SHARES,
        ),
        Line(
            "generalization_gap", 1.5, 4.0, "Error on {split} over error on train",
            part="error here / error on train", on="test", tasks=REALS,
        ),
        Line("calibration_error", 0.05, 0.15, "Distance of confidence from accuracy", on="test"),
        Line("noise_sensitivity", 0.1, 0.3, "Accuracy lost to noise", on="test"),
    ),
    "strong_generalization": (
        Line(
            "accuracy_under_shift", 0.05, 0.2, "Error on {split} minus error on test",
            on="shifts", tasks=SHARES,
        ),
        Line(
            "accuracy_under_shift", 1.5, 4.0, "Error on {split} over error on test",
            part="error here / error on test", on="shifts", tasks=REALS,
        ),
        Line("worst_group_error", 0.1, 0.3, "Error in the worst group"),
        Line("distance_error", 0.7, 0.55, "Chance that a mistake lies farther out than a hit"),
        Line("noise_answers", 0.5, 0.9, "Confidence in its answers to noise"),
        Line(
            "selective_disparity", 0.02, 0.1,
            "Rise of the worst group's error when the least sure answers are left out",
        ),
    ),
    "continuity": (
        Line("input_jacobian", 0.5, 1.0, "Slope over that away from the data", relative=True),
        Line(
            "local_lipschitz", 0.5, 0.1, "Step to another answer over that of class means",
            relative=True,
        ),
        Line(
            "label_separation", 2.0, 1.0, "Distance between classes over that of random labels",
            relative=True,
        ),
    ),
    "geometry": (
        Line("contamination", 0.01, 0.05, "Share of {split} that train contains", on="test"),
        Line("train_neighbor_distance", 0.1, 0.5, "Share of inputs that lie far out"),
        Line("train_feature_distance", 0.1, 0.5, "Share of examples with features far out"),
        Line(
            "fill_distance", 1.25, 2.0, "Reach from train over that within train",
            relative=True,
        ),
        Line("typicality", 0.1, 0.5, "Share of inputs of an unusual likelihood"),
        Line("unseen_directions", 0.001, 0.05, "Share of the input in unseen directions"),
    ),
    "memorization": (
        Line(
            "lookup_agreement", 0.0, -0.3, "Accuracy beyond that of a lookup table",
            part="what the network adds", percent=True,
        ),
        Line("feature_lookup_agreement", 0.9, 0.6, "Agreement with feature neighbors", on="test"),
        Line("example_forgetting", 0.5, 0.2, "Share of training examples never unlearned"),
    ),
    "representation": (),  # descriptions: no value of them is good or bad by itself
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Check:
    """One reading held against its line."""

    line: Line
    split: str
    estimate: Estimate
    state: State
    percent: bool

    @property
    def excess(self) -> float:
        """How far the whole interval is past the good end; see `Line.excess`."""
        return self.line.excess(self.estimate)

    @property
    def subject(self) -> str:
        """What was compared, and where."""
        if "{split}" in self.line.says:
            return self.line.says.replace("{split}", self.split)
        return f"{self.line.says} on {self.split}" if self.split else self.line.says

    @property
    def value(self) -> str:
        """The number, as people read it."""
        return words.value(self.estimate, self.percent)

    @property
    def interval(self) -> str:
        """Its interval, as people read it."""
        return words.interval(self.estimate, self.percent)

    @property
    def sentence(self) -> str:
        """The numbers that decided it."""
        return f"{self.subject}: {self.value} {self.interval}".rstrip()

    @property
    def rule(self) -> str:
        """The line in words."""
        return self.line.rule(self.percent)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to one of the four questions, and what it rests on.

    `missing` says of each line that could not be checked why.
    """

    question: str
    state: State
    checks: tuple[Check, ...]
    missing: tuple[str, ...]

    @property
    def asks(self) -> str:
        """The question in words."""
        return QUESTIONS[self.question]


@dataclass(frozen=True, slots=True)
class Step:
    """Something to do, the readings that call for it (worst first), and how much they do.

    `rows` are the examples to begin with, by split: those that the readings themselves show.
    """

    card: Card
    checks: tuple[Check, ...]
    effect: float
    rows: Mapping[str, tuple[int, ...]]


def verdicts(report: Report) -> tuple[Verdict, ...]:
    """One for each of the four questions, in their order."""
    return tuple(_verdict(report, question) for question in GRADED)


def _verdict(report: Report, question: str) -> Verdict:
    checks, missing = [], []
    for line in LINES[question]:
        if line.tasks and report.provenance.task not in line.tasks:
            continue
        found = _checks(report, line)
        if found:
            checks.append(max(found, key=lambda check: -check.line.sign * check.estimate.value))
        else:
            missing.append(f"{words.title(line.measure)}: {_why_missing(report, line)}")
    states = {check.state for check in checks}
    state: State = "partly"
    if not states:
        state = "not measured"
    elif "does not hold" in states:
        state = "does not hold"
    elif states == {"holds"}:
        state = "holds"
    return Verdict(question, state, tuple(checks), tuple(missing))


def next_steps(report: Report) -> tuple[Step, ...]:
    """What to do, in order of expected effect.

    A measure calls for its next step where the whole interval of a reading is past the good end
    of its line; what can be won is how far past, in units of the distance from good to bad.
    """
    past: dict[str, list[Check]] = {}
    for lines in LINES.values():
        for check in (check for line in lines for check in _checks(report, line)):
            if check.excess > 0 and check.line.measure in report.cards:
                past.setdefault(check.line.measure, []).append(check)
    steps = []
    for measure, found in past.items():
        checks = tuple(sorted(found, key=lambda check: -check.excess))
        splits = [check.split for check in checks]
        rows = _rows(report, measure, splits)
        steps.append(Step(report.cards[measure], checks, checks[0].excess, rows))
    return tuple(sorted(steps, key=lambda step: -step.effect))


def _rows(report: Report, measure: str, splits: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """What a measure's readings on these splits show in galleries, in the order shown."""
    rows: dict[str, dict[int, None]] = {}
    readings = {e.split: e.reading for e in report.entries if e.measure == measure and e.reading}
    for figure in (figure for split in splits for figure in readings[split].figures):
        if isinstance(figure, Gallery):
            shown = rows.setdefault(figure.columns[0], {})
            shown.update(dict.fromkeys(figure.rows[:, 0].tolist()))
    return {split: tuple(found)[:NAMED] for split, found in rows.items() if found}


def check_of(report: Report, entry: Entry) -> Check | None:
    """How an entry stands to the first line that it is about, if there is one."""
    for line in (line for lines in LINES.values() for line in lines):
        if line.measure == entry.measure:
            for check in _checks(report, line):
                if check.split == entry.split:
                    return check
    return None


def _about(report: Report, line: Line) -> list[Entry]:
    """The entries that a line is about."""
    if line.tasks and report.provenance.task not in line.tasks:
        return []
    return [
        entry
        for entry in report.entries
        if entry.measure == line.measure
        and (not entry.split or line.on == "any" or (entry.split == "test") == (line.on == "test"))
    ]


def _checks(report: Report, line: Line) -> list[Check]:
    """Every reading that the line is about, held against it."""
    checks = []
    percent = line.percent if line.part else words.in_percent(report.cards.get(line.measure))
    for entry in _about(report, line):
        estimate = entry.reading and _estimate(line, entry.reading)
        if estimate:
            shown = percent and not line.relative
            checks.append(Check(line, entry.split, estimate, line.judge(estimate), shown))
    return checks


def _estimate(line: Line, reading: Reading) -> Estimate | None:
    """What is held against the line."""
    estimate = reading.parts.get(line.part) if line.part else reading.estimate
    if estimate is None or not line.relative:
        return estimate
    null = reading.null.value if reading.null else 0.0
    if null <= 0:
        return None
    return replace(
        estimate, value=estimate.value / null, low=estimate.low / null, high=estimate.high / null
    )


def _why_missing(report: Report, line: Line) -> str:
    outcomes = [entry.outcome for entry in _about(report, line)]
    for outcome in outcomes:
        if isinstance(outcome, Skipped):
            return outcome.reason
        if isinstance(outcome, Failed):
            return f"failed ({outcome.error})"
    if outcomes:
        return f"the reading has no {line.part!r}"
    planned = [item.reason for item in report.plan.left_out if item.measure == line.measure]
    return planned[0] if planned else "it was not asked for"
