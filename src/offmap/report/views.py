"""What the page shows, in the order in which it shows it: plain data for the templates."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from offmap.estimate import Estimate
from offmap.figures import Figure, Gallery
from offmap.measure import QUESTIONS, Card
from offmap.reading import Entry, Failed, Reading, Skipped
from offmap.report import words
from offmap.report.exhibits import EXHIBITED
from offmap.report.grades import WHY, Check, check_of, next_steps, verdicts
from offmap.report.report import Report
from offmap.report.strip import Strip, strips
from offmap.report.thumbnails import ROWS

METHODS = {
    "exact": "exact: nothing was sampled",
    "mean": "mean of {n} examples, Student's t",
    "bootstrap": "bootstrap over {n} examples",
    "replicates": "spread over {n} replicates",
    "bound": "between bounds",
    "proportion": "share of {n} trials, exact binomial interval",
    "difference": "difference of two estimates, by square-and-add",
    "quantile": "quantile of {n} examples, between order statistics",
    "jackknife": "jackknife over {n} examples",
}
ICONS = {"holds": "✓", "partly": "◐", "does not hold": "✕", "not measured": "–"}
VERBS = {
    "holds": ("holds", "hold"),
    "partly": ("holds in part", "hold in part"),
    "does not hold": ("does not hold", "do not hold"),
    "not measured": ("could not be measured", "could not be measured"),
}
NAMED = 3  # splits in the first sentence; of more, the shifts are only counted
GALLERIES = 24  # on a page


@dataclass(frozen=True, slots=True)
class Parts:
    """Rows of a table and how many were left out."""

    rows: tuple[tuple[str, str, str], ...]
    left_out: int


@dataclass(frozen=True, slots=True)
class Fill:
    """How much text a page holds.

    Args:
        parts: Rows of a table of parts.
        cards: Whether each reading says how to read it.
        pictures: Whether galleries show pictures.
        readings: How many readings there are at most.
        charts: Bytes that must be left for charts.
    """

    parts: int
    cards: bool
    pictures: bool
    readings: int
    charts: int


FILLS = (  # from generous to spare; the first that leaves its room for charts is taken
    Fill(40, cards=True, pictures=True, readings=2000, charts=500_000),
    Fill(10, cards=True, pictures=True, readings=2000, charts=300_000),
    Fill(0, cards=False, pictures=True, readings=2000, charts=100_000),
    Fill(0, cards=False, pictures=False, readings=400, charts=0),
)


class Charts:
    """The charts of a page as JSON, collected as they are met, while there is room.

    Args:
        draw: Makes a chart of a figure; None for figures that are not charts.
        room: Bytes that all of them may take.
    """

    def __init__(self, draw: Callable[[Figure], Any], room: int) -> None:
        self.draw, self.room = draw, room
        self.made: list[str] = []
        self.left_out = 0

    def add(self, figure: Figure) -> dict[str, Any] | None:
        """Number, title and words of the chart; None if there is none."""
        chart = self.draw(figure) if self.room > 0 else None
        if chart is None:
            self.left_out += self.room <= 0 and not isinstance(figure, Gallery)
            return None
        axes = [getattr(figure, name, "") for name in ("x_label", "y_label")]
        axes = [axis for axis in axes if axis]
        said = f"{figure.title}: {type(figure).__name__.lower()}"
        said += f" of {words.listed(axes)}" if axes else ""
        said += f", {len(next(iter(chart.table.values()), []))} data points."
        text = as_script({"spec": chart.spec, "table": chart.table})
        self.room -= len(text.encode("utf-8", "replace")) + 6 * len(said) + 600
        if self.room <= 0:
            self.left_out += 1
            return None
        self.made.append(text)
        return {
            "number": len(self.made) - 1,
            "title": figure.title,
            "words": said,
            "left_out": chart.left_out,
        }


def as_script(value: Any) -> str:
    """JSON that is safe inside a script element, whatever strings it holds."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


@dataclass(frozen=True, slots=True)
class ReadingView:
    """One reading, ready to be printed."""

    anchor: str
    name: str
    split: str
    unit: str
    value: str
    interval: str
    percent: bool
    strip: Strip
    null: str
    method: str
    card: Card | None
    entry: Entry
    reading: Reading
    parts: Parts
    charts: tuple[dict[str, Any], ...]
    check: Check | None


def page(report: Report, fill: Fill, charts: Charts) -> dict[str, Any]:
    """Everything that the templates print; the charts are added to `charts`."""
    taken = [(place, entry) for place, entry in enumerate(report.entries) if entry.reading]
    readings = [
        reading_view(report, place, entry, entry.reading, charts, fill)
        for place, entry in taken[: fill.readings]
        if entry.reading is not None
    ]
    by_question = {
        name: [view for view in readings if view.entry.question == name] for name in QUESTIONS
    }
    others = [view for view in readings if view.entry.question not in QUESTIONS]
    return {
        "provenance": report.provenance,
        "sentence": sentence(report),
        "facts": facts(report),
        "verdicts": verdicts(report),
        "icons": ICONS,
        "why": [(name, QUESTIONS[name], _by_measure(by_question[name])) for name in WHY],
        "steps": next_steps(report),
        "galleries": list(_galleries(report, fill)),
        "readings": readings,
        "readings_left_out": len(taken) - len(readings),
        "questions": [
            (name, QUESTIONS.get(name, ""), views)
            for name, views in (*by_question.items(), ("other", others))
            if views
        ],
        "anchors": {(view.entry.measure, view.entry.split): view.anchor for view in readings},
        "skipped": [e for e in report.entries if isinstance(e.outcome, Skipped)],
        "failed": [e for e in report.entries if isinstance(e.outcome, Failed)],
        "plan": plan_rows(report),
        "records": records(report),
    }


def reading_view(
    report: Report, place: int, entry: Entry, reading: Reading, charts: Charts, fill: Fill
) -> ReadingView:
    """One reading, ready to be printed; its charts are added to the others."""
    card = report.cards.get(entry.measure)
    percent = words.in_percent(card)
    drawn = [chart for chart in map(charts.add, reading.figures) if chart is not None]
    return ReadingView(
        anchor=f"reading-{place}",
        name=words.title(entry.measure),
        split=entry.split,
        unit=card.unit if card else "",
        value=words.value(reading.estimate, percent),
        interval=words.interval(reading.estimate, percent),
        percent=percent,
        strip=strips([reading], _span(card))[0],
        null="" if reading.null is None else words.estimated(reading.null, percent),
        method=METHODS[reading.estimate.method].format(n=f"{reading.estimate.n:,}"),
        card=card,
        entry=entry,
        reading=reading,
        parts=parts_of(reading, fill.parts),
        charts=tuple(drawn),
        check=check_of(report, entry),
    )


def _span(card: Card | None) -> tuple[float, float]:
    return card.span if card else (-inf, inf)


def _by_measure(views: Sequence[ReadingView]) -> list[tuple[str, list[tuple[ReadingView, Strip]]]]:
    """The readings of each measure together, their strips on one scale."""
    groups: dict[str, list[ReadingView]] = {}
    for view in views:
        groups.setdefault(view.name, []).append(view)
    return [
        (name, list(zip(rows, strips([v.reading for v in rows], _span(rows[0].card)), strict=True)))
        for name, rows in groups.items()
    ]


def parts_of(reading: Reading, most: int) -> Parts:
    """The parts as rows of name, number and method."""
    rows = [
        (name, words.part(estimate), _short_method(estimate))
        for name, estimate in list(reading.parts.items())[:most]
    ]
    return Parts(tuple(rows), len(reading.parts) - len(rows))


def _short_method(estimate: Estimate) -> str:
    return "exact" if estimate.method == "exact" else f"{estimate.method}, n = {estimate.n:,}"


def sentence(report: Report) -> str:
    """The report in one sentence."""
    p = report.provenance
    parameters = p.model.get("parameters")
    size = f" of {parameters:,} parameters" if isinstance(parameters, int) else ""
    said = [f"{name} ({_examples(facts)})" for name, facts in p.splits.items()]
    if len(said) > NAMED:
        shifts = [name for name in p.splits if name not in ("train", "test")]
        homes = [f"{name} ({_examples(p.splits[name])})" for name in p.splits if name not in shifts]
        said = [*homes, f"{len(shifts)} shifts"]
    counts = Counter(verdict.state for verdict in verdicts(report))
    tally = [f"{counts[s]} {VERBS[s][counts[s] > 1]}" for s in VERBS if counts[s]]
    on = f" on {words.listed(said)}" if said else ""
    return (
        f"{p.model.get('class', 'A network')}{size}, {p.task}, audited{on}: "
        f"of the four questions {words.listed(tally)}."
    )


def _examples(facts: Mapping[str, object]) -> str:
    count = facts.get("examples")
    return f"{count:,} examples" if isinstance(count, int) else "size unknown"


def facts(report: Report) -> list[tuple[str, str]]:
    """The run at a glance."""
    p = report.provenance
    taken = sum(entry.reading is not None for entry in report.entries)
    counts = f"{taken} taken, {len(report.skipped)} skipped, {len(report.failed)} failed"
    return [
        ("When", p.created.replace("T", " ").replace("+00:00", " UTC")),
        ("Readings", counts),
        ("Time", words.duration(p.seconds)),
        ("Peak memory", f"{words.size(p.peak_bytes)} of {words.size(p.memory)}"),
        ("Seed", str(p.seed)),
        ("offmap", p.versions.get("offmap", "unknown")),
    ]


def records(report: Report) -> list[tuple[str, list[tuple[str, str]]]]:
    """The provenance, table by table."""
    p = report.provenance
    run = [
        ("name", p.name), ("task", p.task), ("created", p.created), ("seed", str(p.seed)),
        ("threads a task", str(p.threads)), ("engine", p.engine),
        ("memory budget", words.size(p.memory)), ("peak memory", words.size(p.peak_bytes)),
        ("wall time", words.duration(p.seconds)), ("readings reused", str(p.reused)),
    ]  # fmt: skip
    domain = _pairs(p.domain)
    if p.domain.get("inferred"):
        domain.append(("note", "nobody stated the domain: it was read off the data"))
    tables = [
        ("Run", run),
        ("Versions", _pairs(p.versions)),
        ("Model", _pairs(p.model)),
        ("Domain of an input", domain),
        ("Splits", [(name, _said(facts)) for name, facts in p.splits.items()]),
        ("Fingerprints", _pairs(p.fingerprints)),
        ("Settings given", [(name, _said(values)) for name, values in p.settings.items()]),
        ("Classes", [("names", words.shortened(", ".join(p.class_names), 2000))]),
    ]
    return [(name, rows) for name, rows in tables if rows and any(text for _, text in rows)]


def _pairs(values: Mapping[str, object]) -> list[tuple[str, str]]:
    return [(name.replace("_", " "), plain(value)) for name, value in values.items()]


def _said(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {plain(value)}" for name, value in values.items())


def plain(value: object) -> str:
    """A value of a setting or of the provenance in words."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, (list, tuple)):
        return ", ".join(plain(item) for item in value)
    return f"{value:,}" if isinstance(value, int) else str(value)


def plan_rows(report: Report) -> list[tuple[str, str, str, str, str, str]]:
    """Planned against actual: name, split, cost, planned time, actual time, peak memory."""
    actual = {(entry.measure, entry.split): entry for entry in report.entries}
    rows = []
    for item in report.plan.runs:
        entry = actual.get((item.measure, item.split))
        took = words.duration(entry.seconds) if entry else "did not run"
        took += " (reused)" if entry and entry.reused else ""
        peak = words.size(entry.peak_bytes) if entry else ""
        planned = words.duration(item.seconds)
        rows.append((words.title(item.measure), item.split, item.cost, planned, took, peak))
    for work in report.plan.shared:
        planned = words.duration(work.seconds)
        spent = report.provenance.shared_seconds.get(work.work)
        took = "did not run" if spent is None else words.duration(spent)
        rows.append((words.title(work.work), "", "shared", planned, took, ""))
    return rows


# ----------------------------------------------------------------------------------- galleries


def _galleries(report: Report, fill: Fill) -> Iterator[dict[str, Any]]:
    """The galleries of every reading, those of the exhibits first, with pictures if there are."""
    count = 0
    for place, entry in sorted(
        enumerate(report.entries), key=lambda item: item[1].measure not in EXHIBITED
    ):
        for figure in entry.reading.figures if entry.reading else ():
            if isinstance(figure, Gallery) and count < GALLERIES and len(figure.rows):
                count += 1
                pictures = report.thumbnails if fill.pictures else {}
                anchors = {"anchor": f"gallery-{count}", "reading": f"reading-{place}"}
                yield _gallery(pictures, figure, entry) | anchors


def _gallery(
    thumbnails: Mapping[str, Mapping[str, str]], figure: Gallery, entry: Entry
) -> dict[str, Any]:
    rows = figure.rows[:ROWS].tolist()
    captions: Sequence[str] = (*figure.captions, *[""] * len(rows))
    items = [
        {
            "caption": caption,
            "cells": [
                (split, row, thumbnails.get(split, {}).get(str(row), ""))
                for split, row in zip(figure.columns, positions, strict=True)
            ],
        }
        for positions, caption in zip(rows, captions, strict=False)
    ]
    return {
        "title": figure.title,
        "where": words.where(entry),
        "items": items,
        "left_out": len(figure.rows) - len(rows),
    }
