"""The report in a terminal: verdicts, readings, next steps. Makes renderables, prints nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from offmap.estimate import Estimate
from offmap.reading import Entry, Reading
from offmap.report import words
from offmap.report.grades import Verdict, next_steps, verdicts
from offmap.report.report import Report

STYLES = {
    "holds": ("✓", "green"),
    "partly": ("◐", "yellow"),
    "does not hold": ("✕", "red"),
    "not measured": ("–", "dim"),
}
STEPS = 5


def said(text: str, style: str = "") -> Text:
    """Text that is shown as it is: nothing in it is markup, or a code that a terminal obeys."""
    return Text(words.printable(text), style)


def render(report: Report, page: Path | None = None) -> RenderableType:
    """The summary for people.

    Args:
        report: What the audit found.
        page: Where the HTML report is.
    """
    blocks: list[RenderableType] = [said(f"\n{report.provenance.name}", "bold"), *_verdicts(report)]
    blocks += ["", _readings(report)]
    steps = next_steps(report)[:STEPS]
    if steps:
        blocks.append(said("\nWhat to do next", "bold"))
    for place, step in enumerate(steps, 1):
        blocks.append(said(f"{place}. {step.card.next_step}"))
        blocks.append(Padding(said(f"because {step.checks[0].sentence}", "dim"), (0, 0, 0, 3)))
        for text in words.rows(step.rows, 8)[:1]:
            blocks.append(Padding(said(text, "dim"), (0, 0, 0, 3)))
    blocks += _left_out(report)
    if page is not None:
        blocks.append(said(f"\nReport: {page}", "bold"))
    return Group(*blocks)


def _verdicts(report: Report) -> Iterator[RenderableType]:
    for verdict in verdicts(report):
        icon, style = STYLES[verdict.state]
        yield Text.assemble("\n", (f"{icon} {verdict.state}", f"bold {style}"), f"  {verdict.asks}")
        for check in verdict.checks:
            icon, style = STYLES[check.state]
            line = said(f"{icon} {check.sentence} ") + said(f"({check.rule})", "dim")
            line.stylize(style, 0, 1)
            yield Padding(line, (0, 0, 0, 2))
        for missing in verdict.missing:
            yield Padding(said(f"– {missing}", "dim"), (0, 0, 0, 2))


def _readings(report: Report) -> Table:
    table = Table(box=None, pad_edge=False)
    widths = {"measure": None, "split": 16, "value": None, "null": None, "unit": 24}
    for name, width in widths.items():
        table.add_column(name, max_width=width, no_wrap=width is None)
    for entry in report.entries:
        if entry.reading is not None:
            table.add_row(*_row(report, entry, entry.reading))
    return table


def _row(report: Report, entry: Entry, reading: Reading) -> list[Text]:
    card = report.cards.get(entry.measure)
    percent = words.in_percent(card)
    cells = [
        entry.measure,
        entry.split,
        words.estimated(reading.estimate, percent),
        "" if reading.null is None else words.value(reading.null, percent),
        card.unit if card else "",
    ]
    return [said(cell) for cell in cells]


def _left_out(report: Report) -> Iterator[RenderableType]:
    for entry in report.failed:
        error = getattr(entry.outcome, "error", "")
        place = words.address(entry.measure, entry.split)
        yield said(f"\nfailed: {place}: {error}", "bold red")
    if report.skipped:
        yield said(f"\n{len(report.skipped)} readings were skipped; the report says why.", "dim")


def summary(report: Report) -> dict[str, Any]:
    """The summary for machines, as plain data."""
    return {
        "name": report.provenance.name,
        "task": report.provenance.task,
        "seconds": report.provenance.seconds,
        "verdicts": [_verdict(verdict) for verdict in verdicts(report)],
        "readings": [
            {
                "measure": entry.measure,
                "split": entry.split,
                **_plain(entry.reading.estimate),
                "method": entry.reading.estimate.method,
                "n": entry.reading.estimate.n,
                "null": entry.reading.null.value if entry.reading.null else None,
            }
            for entry in report.entries
            if entry.reading is not None
        ],
        "next_steps": [
            {
                "measure": step.card.name,
                "text": step.card.next_step,
                "effect": step.effect,
                "readings": [{"split": c.split, **_plain(c.estimate)} for c in step.checks],
                "rows": {split: list(rows) for split, rows in step.rows.items()},
            }
            for step in next_steps(report)
        ],
        "skipped": [
            {"measure": e.measure, "split": e.split, "reason": getattr(e.outcome, "reason", "")}
            for e in report.skipped
        ],
        "failed": [
            {"measure": e.measure, "split": e.split, "error": getattr(e.outcome, "error", "")}
            for e in report.failed
        ],
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "question": verdict.question,
        "state": verdict.state,
        "checks": [
            {
                "measure": check.line.measure,
                "part": check.line.part,
                "split": check.split,
                "state": check.state,
                **_plain(check.estimate),
                "rule": check.rule,
            }
            for check in verdict.checks
        ],
        "missing": list(verdict.missing),
    }


def _plain(estimate: Estimate) -> dict[str, float]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}
