"""Two reports side by side: what changed beyond noise.

Readings are paired by measure and split. Where both reports have one number for each example of
the same data, and the headline is their mean, the difference is that of the pairs; otherwise it is
the difference of two independent estimates, which is too cautious if both were read on the same
examples. With many readings some differ by chance: p-values are corrected by Holm's method, so that
the chance of calling anything a change where nothing changed is at most 5 %.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isclose, isinf, sqrt
from typing import Any, Literal

import torch
from jaxtyping import Float
from rich.console import Group, RenderableType
from rich.table import Table as RichTable
from scipy import special
from torch import Tensor

from offmap.estimate import CONFIDENCE, TAIL, Estimate, difference
from offmap.measure import Card
from offmap.reading import Entry, Reading
from offmap.report import words
from offmap.report.report import Report
from offmap.report.terminal import said

State = Literal["better", "worse", "changed", "no change beyond noise", "not comparable"]

NORMAL = float(special.ndtri(1 - TAIL))
MARKS = {"better": "▲", "worse": "▼", "changed": "◆", "no change beyond noise": "·"}
COLORS = {"better": "green", "worse": "red", "changed": "yellow"}


@dataclass(frozen=True, slots=True)
class Change:
    """One reading, before and after.

    Args:
        measure: Its name.
        split: The split that it was read on.
        before: In the first report.
        after: In the second report.
        difference: After minus before, with its 95 % interval; None if not comparable.
        paired: Whether it is that of pairs of examples.
        p_value: Of no difference, as corrected by Holm.
        state: What it amounts to.
        why: Why it is not comparable; empty otherwise.
        percent: Whether people read the numbers as percentages.
    """

    measure: str
    split: str
    before: Estimate
    after: Estimate
    difference: Estimate | None
    paired: bool
    p_value: float
    state: State
    why: str = ""
    percent: bool = False

    @property
    def sentence(self) -> str:
        """The change in words."""
        place = words.title(self.measure) + (f" on {self.split}" if self.split else "")
        values = (words.value(e, self.percent) for e in (self.before, self.after))
        if self.difference is None:
            return f"{place}: {' -> '.join(values)}, not comparable: {self.why}"
        found = words.estimated(self.difference, self.percent)
        return f"{place}: {' -> '.join(values)}, a difference of {found}: {self.state}"


@dataclass(frozen=True, slots=True)
class Lost:
    """A reading that only one of the reports has, and what became of it in the other."""

    measure: str
    split: str
    present: Literal["before", "after"]
    reason: str

    @property
    def tried(self) -> bool:
        """Whether the other report tried to read it."""
        return bool(self.reason)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What changed between two reports."""

    before: str
    after: str
    changes: tuple[Change, ...]
    only_in_one: tuple[Lost, ...]

    def having(self, *states: State) -> tuple[Change, ...]:
        """The changes of these kinds."""
        return tuple(change for change in self.changes if change.state in states)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for `--json`."""
        return {
            "before": self.before,
            "after": self.after,
            "correction": "holm",
            "confidence": CONFIDENCE,
            "changes": [_as_dict(change) for change in self.changes],
            "only_in_one": [
                {"measure": o.measure, "split": o.split, "present": o.present, "reason": o.reason}
                for o in self.only_in_one
            ],
        }


def compare(before: Report, after: Report) -> Comparison:
    """Pair the readings of two reports and say what changed beyond noise."""
    old, new = (
        {(e.measure, e.split): e for e in report.entries if e.reading} for report in (before, after)
    )
    cards = {**before.cards, **after.cards}
    same = {
        split
        for split, mark in before.provenance.fingerprints.items()
        if after.provenance.fingerprints.get(split) == mark
    }
    shared = [key for key in new if key in old]
    raw = [_change(old[key], new[key], key[1] in same, cards.get(key[0])) for key in shared]
    lost = [_lost(key, "before", after) for key in old if key not in new]
    gained = [_lost(key, "after", before) for key in new if key not in old]
    return Comparison(
        before.provenance.name,
        after.provenance.name,
        tuple(_corrected(raw, cards)),
        (*lost, *gained),
    )


def _lost(key: tuple[str, str], present: Literal["before", "after"], other: Report) -> Lost:
    entry = other.entry(*key)
    if entry is None or entry.reading is not None:
        return Lost(*key, present, "")
    outcome = entry.outcome
    return Lost(*key, present, getattr(outcome, "reason", "") or getattr(outcome, "error", ""))


# ------------------------------------------------------------------------------- one difference


def _change(old: Entry, new: Entry, same_rows: bool, card: Card | None) -> Change:
    """The change before correction."""
    first, second = old.reading, new.reading
    assert first is not None and second is not None
    percent = words.in_percent(card)
    if dict(old.settings) != dict(new.settings):
        differing = [
            f"{name} {old.settings.get(name)!r} -> {new.settings.get(name)!r}"
            for name in {**old.settings, **new.settings}
            if old.settings.get(name) != new.settings.get(name)
        ]
        return Change(
            old.measure, old.split, first.estimate, second.estimate, None, False, 1.0,
            "not comparable", f"the settings differ ({', '.join(differing)})", percent,
        )  # fmt: skip
    pairs = _pairs(first, second) if same_rows and old.split else None
    found = difference(second.estimate, first.estimate) if pairs is None else paired(*pairs)
    exact = {e.n for e in (first.estimate, second.estimate) if e.low != e.high}
    n = found.n if pairs is not None else min(exact, default=found.n)
    return Change(
        old.measure, old.split, first.estimate, second.estimate, found, pairs is not None,
        p_value(found, n), "no change beyond noise", "", percent,
    )  # fmt: skip


def _pairs(first: Reading, second: Reading) -> tuple[Tensor, Tensor] | None:
    """The rows behind two headlines, if both are plain means over the same rows."""
    a, b = first.per_example, second.per_example
    if a is None or b is None or a.shape != b.shape or a.ndim != 1:
        return None
    a, b = a.double(), b.double()
    both = ~a.isnan()
    if not torch.equal(both, ~b.isnan()) or int(both.sum()) < 2:
        return None
    for reading, rows in ((first, a[both]), (second, b[both])):
        if reading.estimate.method not in ("mean", "proportion"):
            return None
        if not isclose(reading.value, rows.mean().item(), rel_tol=1e-6, abs_tol=1e-9):
            return None
    return a[both], b[both]


def paired(before: Float[Tensor, " n"], after: Float[Tensor, " n"]) -> Estimate:
    """Mean of `after - before` over the same examples.

    Student's t; where every row is 0 or 1 the adjusted interval of Bonett and Price (2012), which
    keeps its coverage when few examples changed sides.
    """
    change, n = after.double() - before.double(), len(after)
    value = change.mean().item()
    if bool(((before == 0) | (before == 1)).all() and ((after == 0) | (after == 1)).all()):
        up, down = ((int((change == sign).sum()) + 1) / (n + 2) for sign in (1, -1))
        half = NORMAL * sqrt((up + down - (up - down) ** 2) / (n + 2))
        low, high = max(-1.0, up - down - half), min(1.0, up - down + half)
    else:
        half = float(special.stdtrit(n - 1, 1 - TAIL)) * change.std().item() / sqrt(n)
        low, high = value - half, value + half
    return Estimate(value, min(low, value), max(high, value), "difference", n)


def p_value(found: Estimate, n: int) -> float:
    """Two-sided p-value of no difference, from the end of the interval that is nearer to 0.

    At an interval that just touches 0 it is 0.05; elsewhere Student's t with n - 1 degrees of
    freedom says how fast it falls. A difference without uncertainty is certain.
    """
    half = found.value - found.low if found.value > 0 else found.high - found.value
    if found.value == 0 or half == 0:
        return float(found.value == 0)
    freedom = max(1, n - 1)
    statistic = abs(found.value) / half * float(special.stdtrit(freedom, 1 - TAIL))
    return 0.0 if isinf(statistic) else 2 * float(special.stdtr(freedom, -statistic))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for their number (Holm 1979): the family-wise error rate is kept."""
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = largest
    return corrected


def _corrected(raw: list[Change], cards: dict[str, Card]) -> list[Change]:
    """The changes with their p-values corrected, and what they amount to.

    A difference without uncertainty cannot be a false alarm, and does not count as a test.
    """
    tested = [
        place
        for place, change in enumerate(raw)
        if change.difference is not None and change.difference.low < change.difference.high
    ]
    p_values = [change.p_value for change in raw]
    for place, p in zip(tested, holm([p_values[place] for place in tested]), strict=True):
        p_values[place] = p
    return [
        _judged(change, p, cards.get(change.measure))
        for change, p in zip(raw, p_values, strict=True)
    ]


def _judged(change: Change, p: float, card: Card | None) -> Change:
    if change.difference is None:
        return change
    state: State = "no change beyond noise"
    if p < 1 - CONFIDENCE:
        good = card.better if card else "neither"
        gained = (change.difference.value > 0) == (good == "higher")
        state = "changed" if good == "neither" else "better" if gained else "worse"
    return replace(change, p_value=p, state=state)


# ------------------------------------------------------------------------------------ as shown


def _as_dict(change: Change) -> dict[str, Any]:
    def plain(estimate: Estimate | None) -> dict[str, float] | None:
        if estimate is None:
            return None
        return {"value": estimate.value, "low": estimate.low, "high": estimate.high}

    return {
        "measure": change.measure,
        "split": change.split,
        "state": change.state,
        "before": plain(change.before),
        "after": plain(change.after),
        "difference": plain(change.difference),
        "paired": change.paired,
        "p_value": change.p_value,
        "why": change.why,
    }


def render(comparison: Comparison) -> RenderableType:
    """The comparison for a terminal: what changed first, then the rest."""
    order = ("worse", "better", "changed", "not comparable", "no change beyond noise")
    table = RichTable("", "reading", "split", "before", "after", "difference", box=None)
    for state in order:
        for change in comparison.having(state):
            color = COLORS.get(state, "dim")
            found = change.difference
            shown = change.why if found is None else words.estimated(found, change.percent)
            table.add_row(
                said(f"{MARKS.get(state, '?')} {state}", color),
                said(change.measure),
                said(change.split),
                words.value(change.before, change.percent),
                words.value(change.after, change.percent),
                said(shown + (" paired" if change.paired else "")),
            )
    counts = ", ".join(f"{len(comparison.having(state))} {state}" for state in order)
    lines: list[RenderableType] = [
        said(f"{comparison.before} -> {comparison.after}: {counts}", "bold"),
        said("Intervals are at 95 %; what is called a change is corrected by Holm.", "dim"),
        table,
    ]
    for lost in comparison.only_in_one:
        place = words.address(lost.measure, lost.split)
        lines.append(said(f"only {lost.present}: {place} {lost.reason}".rstrip()))
    return Group(*lines)
