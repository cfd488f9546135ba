"""*What holds*: every claim with its verdict, as one page that opens offline, and as a table."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import isfinite
from typing import Any

from markupsafe import Markup

from offmap.estimate import Estimate
from offmap.lab.claim import ROOMS
from offmap.lab.finding import VERDICTS, Finding
from offmap.report import words
from offmap.report.charts import chart
from offmap.report.detail import Detail, level, size
from offmap.report.formula import paragraphs
from offmap.report.html import environment, library
from offmap.report.views import Charts

ROOM = 1_600_000  # bytes that the charts may take; scripts take 800,000 more
MARKS = {"supported": "✓", "refuted": "✗", "inconclusive": "?", "none": "–"}
VERSIONS = ("offmap", "python", "torch")
SHOWN = ("commit", "command", "machine", "created", "engine", "threads")


@dataclass(frozen=True, slots=True)
class Ruler:
    """Places on a line, in percent of its width: the interval, the seeds, the line to cross."""

    value: float
    low: float
    high: float
    seeds: tuple[float, ...]
    lines: tuple[float, ...]


def html(findings: Sequence[Finding]) -> str:
    """The page, scripts and data inside.

    Args:
        findings: What was found, one for each claim.
    """
    ordered = _ordered(findings)
    figures = [f for one in ordered for trial in one.finished[:1] for f in trial.figures]
    detail = Detail.within(level([size(figure) for figure in figures], ROOM))
    charts = Charts(partial(chart, detail=detail), ROOM)
    rooms = [
        (title, [_row(one, ordered, charts) for one in ordered if one.statement.room == room])
        for room, title in ROOMS.items()
    ]
    return (
        environment("offmap.lab")
        .get_template("what_holds.html")
        .render(
            rooms=[(title, rows) for title, rows in rooms if rows],
            counts=counts(findings),
            sentence=sentence(findings),
            facts=facts(findings),
            marks=MARKS,
            charts=Markup(f"[{','.join(charts.made)}]"),
            library=library(),
        )
    )


def markdown(findings: Sequence[Finding], *, link: str = "") -> str:
    """The same as a table.

    Args:
        findings: What was found, one for each claim.
        link: Where the page of a claim is, with {} for its name; none where empty.
    """
    ordered = _ordered(findings)
    parts = ["# What holds", sentence(findings)]
    parts.append("\n".join(f"- {name}: {said}" for name, said in facts(findings)))
    head = "| claim | says | corrected | effect | line | verdict | seeds | time | paper |"
    for room, title in ROOMS.items():
        rows = [
            f"| {' | '.join(map(_cell, _columns(one, ordered, link)))} |"
            for one in ordered
            if one.statement.room == room
        ]
        if rows:
            parts.append("\n".join([f"## {title}\n", head, "|" + " --- |" * 9, *rows]))
    return "\n\n".join(parts) + "\n"


def counts(findings: Sequence[Finding]) -> dict[str, int]:
    """How many findings have each verdict."""
    return {v: sum(one.verdict == v for one in findings) for v in VERDICTS}


def sentence(findings: Sequence[Finding]) -> str:
    """What came out, in words."""
    said = {"none": "without a verdict"}
    some = [f"{n} {said.get(v, v)}" for v, n in counts(findings).items() if n]
    what = "claim" if len(findings) == 1 else "claims"
    return (
        f"{len(findings)} {what} from deep-learning theory: {words.listed(some or ['none'])}. "
        "Statement, effect and line come before the run; the verdict is computed from the 95 % "
        "interval of the effect over the seeds. Where sizes or lines owe something to a first "
        "look, docs/lab.md says so."
    )


def facts(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    """Where the numbers come from; several values where findings differ."""
    said = [("scale", _joined(one.scale for one in findings))]
    said += [
        (name, _joined(one.provenance.get(name, "") for one in findings))
        for name in SHOWN
        if name != "created"
    ]
    days = sorted({one.provenance.get("created", "")[:10] for one in findings} - {""})
    versions = _joined(
        ", ".join(f"{n} {one.provenance[n]}" for n in VERSIONS if n in one.provenance)
        for one in findings
    )
    total = words.duration(sum(one.seconds for one in findings))
    said += [("made", " to ".join(dict.fromkeys(days[:1] + days[-1:]))), ("versions", versions)]
    said += [("time of all trials", total)]
    return [(name, text) for name, text in said if text]


def effect(finding: Finding) -> str:
    """The effect with its interval, or the one number that there is."""
    if finding.estimate is not None:
        return words.estimated(finding.estimate)
    return words.number(finding.finished[0].effect) if finding.finished else "–"


def number(part: Estimate | float) -> str:
    """A part as text."""
    return words.estimated(part) if isinstance(part, Estimate) else words.number(part)


def _row(finding: Finding, every: Sequence[Finding], charts: Charts) -> dict[str, Any]:
    first = finding.finished[:1]
    drawn = [charts.add(figure) for trial in first for figure in trial.figures]
    return {
        "finding": finding,
        "statement": finding.statement,
        "title": words.title(finding.statement.name),
        "corrected": _corrected(finding, every),
        "protocol": paragraphs(finding.statement.protocol),
        "effect": effect(finding),
        "ruler": ruler(finding),
        "charts": [one for one in drawn if one is not None],
        "parts": [(words.title(name), number(part)) for name, part in finding.parts.items()],
        "notes": [note for trial in first for note in trial.notes],
        "parameters": {n: str(v) for n, v in finding.parameters.items()},
        "seconds": words.duration(finding.seconds),
        "provenance": ", ".join(f"{n} {t}" for n, t in finding.provenance.items() if t),
    }


def ruler(finding: Finding) -> Ruler | None:
    """Where the numbers of a finding lie on one line that holds them all."""
    estimate = finding.estimate
    if estimate is None:
        return None
    lines = [x for x in (finding.statement.above, finding.statement.below) if x is not None]
    seeds = [trial.effect for trial in finding.finished]
    numbers = [estimate.low, estimate.high, *seeds, *lines]
    low, high = min(numbers), max(numbers)
    room = 0.08 * (high - low) or 0.5 * abs(high) or 1.0
    start, stop = low - room, high + room

    def place(value: float) -> float:
        share = 100 * (value - start) / (stop - start)
        return round(share, 2) if isfinite(share) else 50.0

    return Ruler(
        place(estimate.value), place(estimate.low), place(estimate.high),
        tuple(map(place, seeds)), tuple(map(place, lines)),
    )  # fmt: skip


def _ordered(findings: Sequence[Finding]) -> list[Finding]:
    places = list(ROOMS)
    return sorted(findings, key=lambda f: (places.index(f.statement.room), f.statement.name))


def _corrected(finding: Finding, every: Sequence[Finding]) -> str:
    """The statement that puts it right, if it is among the findings."""
    name = finding.statement.corrected
    return next((f.statement.says for f in every if f.statement.name == name), "")


def _columns(finding: Finding, every: Sequence[Finding], link: str) -> Iterator[str]:
    claim = finding.statement
    name = words.title(claim.name)
    yield f"[{name}]({link.format(claim.name)})" if link else name
    yield claim.says
    yield _corrected(finding, every)
    yield f"{effect(finding)}: {claim.effect}"
    yield finding.line
    yield f"**{finding.verdict}**" + (f" ({finding.why})" if finding.why else "")
    yield str(len(finding.trials))
    yield words.duration(finding.seconds)
    yield f"[{claim.citation}]({claim.url})"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _joined(values: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(value for value in values if value))
