"""Gates: conditions under which an audit exits with 1. A gate never passes in silence.

A gate is written as the condition of *failing*: `calibration_error > 0.05`,
`accuracy_under_shift@fog > 0.1`, `random_label_fit.largest class >= 0.5`. It holds the point value
of the reading against the number, not an end of the interval: that is what people expect of a
threshold in a build, and a baseline (`baseline_gate`) is there to tell change from noise.

Without `@split` a gate is about the test split where the measure was read there (or should have
been), and about every split it was read on otherwise; `@*` is every split. A reading that is not
there (skipped, failed, never run, no such part) fails the gate, with the reason.
"""

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from offmap.attempt import InputError
from offmap.catalog import unknown
from offmap.reading import Entry, Failed, Skipped
from offmap.report import words
from offmap.report.compare import compare
from offmap.report.report import Report

COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
WRITTEN = re.compile(
    r"\s*(?P<measure>\w+)\s*(?:\.(?P<part>[^@<>=]+))?(?:@\s*(?P<split>[^<>=\s][^<>=]*))?"
    r"(?P<sign><=|>=|<|>)(?P<number>[^<>=]+)"
)
EXAMPLE = "calibration_error > 0.05, accuracy_under_shift@fog > 0.1 or measure.part@split >= 1"


@dataclass(frozen=True, slots=True)
class Gate:
    """The audit fails if `measure` (its `part`, on `split`) is `sign` `number`."""

    expression: str
    measure: str
    part: str
    split: str
    sign: str
    number: float


@dataclass(frozen=True, slots=True)
class GateResult:
    """What became of a gate: `value` is what decided it, None where there was nothing to read."""

    expression: str
    passed: bool
    value: float | None
    sentence: str


def parse(expression: str, measures: Iterable[str]) -> Gate:
    """A gate from what was typed after `--fail-on`.

    Args:
        expression: Such as `calibration_error > 0.05`.
        measures: Names that exist.

    Raises:
        InputError: If it cannot be read, or names a measure that does not exist.
    """
    found = WRITTEN.fullmatch(expression)
    if found is None:
        raise InputError(f"--fail-on: expected a gate such as {EXAMPLE}, got {expression!r}")
    parts = {name: (text or "").strip() for name, text in found.groupdict().items()}
    known = dict.fromkeys(measures)
    if parts["measure"] not in known:
        raise InputError(f"--fail-on {expression!r}: {unknown(parts['measure'], known, 'measure')}")
    digits = parts["number"].removesuffix("%")
    if not re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", digits.strip()):
        raise InputError(
            f"--fail-on {expression!r}: expected a number behind {parts['sign']}, "
            f"got {parts['number']!r}"
        )
    number = float(digits) / (100 if digits != parts["number"] else 1)
    return Gate(
        expression.strip(), parts["measure"], parts["part"], parts["split"], parts["sign"], number
    )


def evaluate(gates: Sequence[Gate], report: Report) -> tuple[GateResult, ...]:
    """One result for each gate."""
    return tuple(_evaluated(gate, report) for gate in gates)


def _evaluated(gate: Gate, report: Report) -> GateResult:
    entries = _entries(gate, report)
    if not entries:
        return GateResult(gate.expression, False, None, _nothing_to_read(gate, report))
    results = [_one(gate, entry, report) for entry in entries]
    failed = [result for result in results if not result.passed]
    return failed[0] if failed else results[0]


def _entries(gate: Gate, report: Report) -> list[Entry]:
    """The entries that a gate is about."""
    mine = [entry for entry in report.entries if entry.measure == gate.measure]
    if gate.split and gate.split != "*":
        return [entry for entry in mine if entry.split == gate.split]
    on_test = [entry for entry in mine if entry.split == "test"]
    return on_test if on_test and not gate.split else mine


def _nothing_to_read(gate: Gate, report: Report) -> str:
    splits = {e.split: None for e in report.entries if e.measure == gate.measure and e.split}
    if gate.split and splits:
        return f"gate not met: {unknown(gate.split, splits, f'split with {gate.measure}')}"
    planned = [item.reason for item in report.plan.left_out if item.measure == gate.measure]
    reason = planned[0] if planned else "it was not among the measures asked for"
    return f"gate not met: {gate.measure} was not read: {reason}"


def _one(gate: Gate, entry: Entry, report: Report) -> GateResult:
    place = words.address(gate.measure, entry.split, gate.part)

    def unread(reason: str) -> GateResult:
        return GateResult(gate.expression, False, None, f"gate not met: {place} {reason}")

    match entry.outcome:
        case Skipped(reason):
            return unread(f"was skipped: {reason}")
        case Failed(error):
            return unread(f"failed: {error}")
    reading = entry.outcome
    if gate.part and gate.part not in reading.parts:
        return unread(f"was not read: {unknown(gate.part, reading.parts, 'part')}")
    estimate = reading.parts[gate.part] if gate.part else reading.estimate
    tripped = COMPARE[gate.sign](estimate.value, gate.number)
    shown = f"{place} is {estimate:.4g}"
    line = f"{gate.sign} {gate.number:g}"
    said = f"failed: {shown}, which is {line}" if tripped else f"passed: {shown}, not {line}"
    return GateResult(gate.expression, not tripped, estimate.value, f"gate {said}")


def baseline_gate(baseline: Report, report: Report) -> GateResult:
    """Passes if nothing got worse beyond noise.

    It fails as well if a reading of the baseline was tried again and could not be had, or cannot
    be compared because its settings differ: neither can be called unchanged. Readings of the
    baseline that were not asked for again are only counted.
    """
    comparison = compare(baseline, report)
    problems = [change.sentence for change in comparison.having("worse", "not comparable")]
    lost = [item for item in comparison.only_in_one if item.present == "before"]
    problems += [
        f"{words.address(item.measure, item.split)} could not be read again: {item.reason}"
        for item in lost
        if item.tried
    ]
    left = sum(not item.tried for item in lost)
    counted = f"; {left} readings of the baseline were not asked for" if left else ""
    name = "baseline"
    if problems:
        text = f"gate failed: {'; '.join(problems)}{counted}"
        return GateResult(name, False, float(len(problems)), text)
    if not comparison.changes:
        text = f"gate not met: no reading is in both reports, so nothing was compared{counted}"
        return GateResult(name, False, None, text)
    count = len(comparison.changes)
    text = f"gate passed: of {count} readings none got worse beyond noise{counted}"
    return GateResult(name, True, 0.0, text)
