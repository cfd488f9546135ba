"""What of each exhibit was measured, ready to be printed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from offmap.report import exhibits
from offmap.report.exhibits import Exhibit
from offmap.report.views import ReadingView

Gallery = Mapping[str, Any]  # as `views.page` makes them


@dataclass(frozen=True, slots=True)
class Shown:
    """An exhibit with what there is to show.

    Args:
        exhibit: What is asked.
        readings: The readings that answer, on every split.
        null: What they all would be had there been nothing to find; empty where it differs.
        charts: Charts of the first splits, each with the name of its split.
        galleries: Galleries of the first splits.
    """

    exhibit: Exhibit
    readings: tuple[ReadingView, ...]
    null: str
    charts: tuple[Mapping[str, Any], ...]
    galleries: tuple[Gallery, ...]


def shown(readings: Sequence[ReadingView], galleries: Sequence[Gallery]) -> list[Shown]:
    """The exhibits of which something was measured, in their order."""
    found = (_shown(exhibit, readings, galleries) for exhibit in exhibits.EXHIBITS)
    return [one for one in found if one.charts or one.galleries]


def _shown(
    exhibit: Exhibit, readings: Sequence[ReadingView], galleries: Sequence[Gallery]
) -> Shown:
    read = {view.entry.measure for view in readings}
    measure = next((name for name in exhibit.measures if name in read), None)
    rows = tuple(view for view in readings if view.entry.measure == measure)
    first = rows[: exhibit.splits]
    nulls = {row.null for row in rows}
    anchors = {view.anchor for view in first}
    return Shown(
        exhibit,
        rows,
        nulls.pop() if len(nulls) == 1 else "",
        tuple(
            {**chart, "split": view.split}
            for view in first
            for chart in view.charts
            if exhibit.figure in chart["title"]
        ),
        tuple(g for g in galleries if g["reading"] in anchors and exhibit.figure in g["title"]),
    )
