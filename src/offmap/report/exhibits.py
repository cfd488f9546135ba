"""The pictures of the why section: which figures say why, and what to look for in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from offmap.report.views import ReadingView

MOST = 4  # charts, and galleries, of an exhibit; the others are with their readings


@dataclass(frozen=True, slots=True)
class Exhibit:
    """Figures that answer one question.

    Args:
        asks: The question.
        look: What to look for.
        measures: Whose figures; the first that was read is shown, with all its splits.
        figure: Words that the title of a figure holds; all of its figures where empty.
    """

    asks: str
    look: str
    measures: tuple[str, ...]
    figure: str = ""


EXHIBITS: tuple[Exhibit, ...] = ()


@dataclass(frozen=True, slots=True)
class Shown:
    """An exhibit with what there is to show."""

    exhibit: Exhibit
    readings: tuple[ReadingView, ...]
    charts: tuple[Mapping[str, Any], ...]
    galleries: tuple[Mapping[str, Any], ...]


def shown(readings: Sequence[ReadingView], galleries: Sequence[Mapping[str, Any]]) -> list[Shown]:
    """The exhibits of which something was measured, in their order."""
    found = (_shown(exhibit, readings, galleries) for exhibit in EXHIBITS)
    return [one for one in found if one.charts or one.galleries]


def _shown(
    exhibit: Exhibit,
    readings: Sequence[ReadingView],
    galleries: Sequence[Mapping[str, Any]],
) -> Shown:
    read = {view.entry.measure for view in readings}
    measure = next((name for name in exhibit.measures if name in read), None)
    rows = tuple(view for view in readings if view.entry.measure == measure)
    charts = [chart for view in rows for chart in view.charts if exhibit.figure in chart["title"]]
    anchors = {view.anchor for view in rows}
    pictures = [
        gallery
        for gallery in galleries
        if gallery["reading"] in anchors and exhibit.figure in gallery["title"]
    ]
    return Shown(exhibit, rows, tuple(charts[:MOST]), tuple(pictures[:MOST]))
