"""A reading at a glance: value, interval and null on one line, as inline SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from offmap.reading import Reading


@dataclass(frozen=True, slots=True)
class Strip:
    """Places on a line, in percent of its width; `null` is None where there is none."""

    value: float
    low: float
    high: float
    null: float | None
    start: float
    stop: float


def strips(readings: Sequence[Reading], span: tuple[float, float]) -> list[Strip]:
    """Where the numbers of some readings lie, all on one scale.

    The line is the span where it is finite and the numbers fill a good part of it; otherwise it
    reaches a little beyond the numbers, from a finite end of the span if that is near.
    """
    numbers = [n for r in readings for n in (r.value, r.low, r.high)]
    numbers += [reading.null.value for reading in readings if reading.null]
    low, high = min(numbers), max(numbers)
    room = 0.15 * (high - low) or 0.5 * abs(high) or 1.0
    start, stop = low - room, high + room
    if isfinite(span[0]) and low - span[0] <= 4 * (stop - start):
        start = span[0]
    if isfinite(span[1]) and span[1] - high <= 4 * (stop - start):
        stop = span[1]
    stop = stop if stop > start else start + 1.0

    def place(number: float) -> float:
        return round(min(100.0, max(0.0, 100 * (number - start) / (stop - start))), 2)

    return [
        Strip(
            place(reading.value),
            place(reading.low),
            place(reading.high),
            place(reading.null.value) if reading.null else None,
            start,
            stop,
        )
        for reading in readings
    ]
