"""The verdicts: computed here and nowhere else, from headline readings, by lines that are data.

A line has a good end and a bad end. A reading *holds* if its whole interval is on the good side of
the good end, *does not hold* if its whole interval is beyond the bad end, and holds *partly*
otherwise: an interval that straddles an end proves nothing. A question does not hold if one of its
readings does not, holds if all that could be taken do, and is *not measured* if none could.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from offmap.estimate import Estimate
from offmap.measure import QUESTIONS
from offmap.reading import Entry, Failed, Skipped
from offmap.report import words
from offmap.report.report import Report

State = Literal["holds", "partly", "does not hold", "not measured"]
Where = Literal["test", "shifts", "any"]

GRADED = ("expressivity", "trainability", "weak_generalization", "strong_generalization")
WHY = ("continuity", "geometry", "memorization", "representation")


@dataclass(frozen=True, slots=True)
class Line:
    """Where a measure is good and where it is bad.

    Args:
        measure: Its name.
        good: The value that it must reach to hold.
        bad: The value beyond which it does not.
        says: What is compared, as the subject of a sentence.
        part: Name of the part that is read; the headline where empty.
        on: Which readings count: on test, on the shifts, or on any split; the worst decides.
        tasks: The tasks whose numbers have the scale of the line; all where empty.
    """

    measure: str
    good: float
    bad: float
    says: str
    part: str = ""
    on: Where = "any"
    tasks: tuple[str, ...] = ()

    def judge(self, estimate: Estimate) -> State:
        """What the whole interval says."""
        if self.good >= self.bad:
            near, far = estimate.low, estimate.high
        else:
            near, far = -estimate.high, -estimate.low
        sign = 1 if self.good >= self.bad else -1
        if near >= sign * self.good:
            return "holds"
        return "does not hold" if far < sign * self.bad else "partly"

    def excess(self, estimate: Estimate) -> float:
        """How far the whole interval lies past the good end; 1 is as far as the bad end.

        Negative where the interval reaches the good side.
        """
        near = estimate.high if self.good >= self.bad else estimate.low
        return (self.good - near) / abs(self.good - self.bad) * (1 if self.good >= self.bad else -1)

    def rule(self, percent: bool) -> str:
        """The line in words."""
        good, bad = words.number(self.good, percent), words.number(self.bad, percent)
        if self.good >= self.bad:
            return f"holds at {good} or more, does not hold below {bad}"
        return f"holds at {good} or less, does not hold above {bad}"


LINES: dict[str, tuple[Line, ...]] = {
    "expressivity": (
        Line("overparameterization", 1.0, 0.1, "Parameters over those needed to interpolate"),
        Line("random_label_fit", 0.9, 0.5, "Share of random labels that it can fit"),
    ),
    "trainability": (
        Line("gradient_signal", 0.1, 0.01, "Share of examples with a gradient worth having"),
        Line("seed_spread", 0.01, 0.05, "Spread of the accuracy over seeds"),
    ),
    "weak_generalization": (
        Line("generalization_gap", 0.02, 0.1, "Train accuracy minus test accuracy", on="test"),
        Line("calibration_error", 0.03, 0.1, "Distance of confidence from accuracy", on="test"),
        Line("noise_sensitivity", 0.05, 0.2, "Accuracy lost under small noise", on="test"),
    ),
    "strong_generalization": (
        Line("accuracy_under_shift", -0.05, -0.2, "Accuracy gained under the shift", on="shifts"),
        Line("worst_group_error", 0.1, 0.3, "Error of the worst group"),
        Line("distance_error", 0.1, 0.3, "How well distance predicts error"),
    ),
    "continuity": (),
    "geometry": (
        Line("contamination", 0.0, 0.01, "Share of test examples that the train split contains"),
    ),
    "memorization": (),
    "representation": (),
}


@dataclass(frozen=True, slots=True)
class Check:
    """One reading held against its line."""

    line: Line
    split: str
    estimate: Estimate
    state: State
    percent: bool
    unit: str

    @property
    def sentence(self) -> str:
        """The rule with the numbers that decided it."""
        place = f" on {self.split}" if self.split else ""
        return f"{self.line.says}{place}: {words.estimated(self.estimate, self.percent)}"

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
    """Something to do, the readings that call for it (worst first), and how much they do."""

    measure: str
    question: str
    text: str
    checks: tuple[Check, ...]
    effect: float


def verdicts(report: Report) -> tuple[Verdict, ...]:
    """One for each of the four questions, in their order."""
    return tuple(_verdict(report, question) for question in GRADED)


def _verdict(report: Report, question: str) -> Verdict:
    checks, missing = [], []
    for line in LINES[question]:
        found = list(_checks(report, line))
        if found:
            checks.append(max(found, key=lambda check: _badness(check.line, check.estimate)))
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
    of its line; what it promises is how far past, in units of the distance from good to bad.
    """
    steps: dict[str, Step] = {}
    for question, lines in LINES.items():
        for line in lines:
            past = [c for c in _checks(report, line) if c.line.excess(c.estimate) > 0]
            past.sort(key=lambda check: -check.line.excess(check.estimate))
            if not past or line.measure not in report.cards:
                continue
            earlier = steps.get(line.measure)
            effect = past[0].line.excess(past[0].estimate)
            steps[line.measure] = Step(
                line.measure,
                question,
                report.cards[line.measure].next_step,
                (*(earlier.checks if earlier else ()), *past),
                max(effect, earlier.effect if earlier else 0.0),
            )
    return tuple(sorted(steps.values(), key=lambda step: -step.effect))


def line_of(measure: str) -> Line | None:
    """The line of a measure's headline, if it has one."""
    for lines in LINES.values():
        for line in lines:
            if line.measure == measure and not line.part:
                return line
    return None


def _counts(line: Line, entry: Entry) -> bool:
    wanted = {"test": entry.split == "test", "shifts": entry.split not in ("train", "test")}
    return entry.measure == line.measure and (not entry.split or wanted.get(line.on, True))


def _checks(report: Report, line: Line) -> Iterator[Check]:
    """Every reading that the line is about."""
    for entry in report.entries:
        if not _counts(line, entry) or entry.reading is None:
            continue
        estimate = entry.reading.parts.get(line.part) if line.part else entry.reading.estimate
        if estimate is not None:
            card = report.cards.get(line.measure)
            percent = estimate.method == "proportion" if line.part else words.in_percent(card)
            unit = card.unit if card and not line.part else ""
            yield Check(line, entry.split, estimate, line.judge(estimate), percent, unit)


def _badness(line: Line, estimate: Estimate) -> float:
    return -estimate.value if line.good >= line.bad else estimate.value


def _why_missing(report: Report, line: Line) -> str:
    outcomes = [entry.outcome for entry in report.entries if _counts(line, entry)]
    for outcome in outcomes:
        if isinstance(outcome, Skipped):
            return outcome.reason
        if isinstance(outcome, Failed):
            return f"failed ({outcome.error})"
    if outcomes:
        return f"the reading has no part {line.part!r}"
    planned = [p for p in report.plan.left_out if p.measure == line.measure]
    return planned[0].reason if planned else "was not asked for"
