"""How much of a figure is drawn, so that all of them fit into one page."""

from collections.abc import Sequence
from dataclasses import dataclass

from offmap.figures import Bars, Curve, Figure, Gallery, Histogram, Matrix, Scatter

SPEC_BYTES, POINT_BYTES = 3000, 30  # of a specification, and of a row of its table, roughly


@dataclass(frozen=True, slots=True)
class Detail:
    """How much of a figure is drawn: points of a curve, of a scatter, bars, cells along a side."""

    curve: int = 400
    scatter: int = 1500
    bars: int = 40
    side: int = 30

    @staticmethod
    def within(size: int) -> "Detail":
        """As much as fits into about so many bytes a chart."""
        points = max(20, (size - SPEC_BYTES) // POINT_BYTES)
        most = Detail()
        return Detail(
            min(most.curve, points // 2),
            min(most.scatter, points),
            min(most.bars, points),
            min(most.side, int(points**0.5)),
        )


def size(figure: Figure) -> int:
    """Bytes that a chart of the figure takes when it is drawn in full, roughly."""
    most = Detail()
    match figure:
        case Curve():
            points = 2 * min(most.curve, len(figure.x) * max(1, len(figure.series)) // 2)
        case Histogram():
            points = len(figure.edges) * len(figure.counts)
        case Scatter():
            points = min(most.scatter, len(figure.x))
        case Bars():
            points = min(most.bars, len(figure.values))
        case Matrix():
            points = min(most.side, len(figure.rows)) * min(most.side, len(figure.columns))
        case Gallery():
            return 0
    return SPEC_BYTES + POINT_BYTES * points


def level(sizes: Sequence[int], room: int) -> int:
    """The most that one of them may take so that all fit: small ones leave room to large ones."""
    for place, one in enumerate(sorted(sizes)):
        share = room // (len(sizes) - place)
        if one > share:
            return share
        room -= one
    return max(sizes, default=0)
