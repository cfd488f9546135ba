"""Numbers and names as people read them. Every part of the report writes them the same way."""

import re
from collections.abc import Mapping, Sequence
from math import floor, isfinite, log10

from offmap.engine.progress import duration as duration
from offmap.estimate import Estimate
from offmap.measure import Card
from offmap.reading import Entry

SHARES = re.compile(r"\b(share|probability|proportion|accuracy|error rate|fraction)\b")


def title(name: str) -> str:
    """`calibration_error` -> `Calibration error`."""
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def in_percent(card: Card | None) -> bool:
    """Whether people read the headline as a percentage: a share, by its unit and its span."""
    return (
        card is not None
        and SHARES.search(card.unit) is not None
        and -1 <= card.span[0] <= card.span[1] <= 1
    )


def number(value: float, percent: bool = False, resolution: float = 0.0) -> str:
    """One number: whole numbers whole, others to about three digits.

    Args:
        value: The number.
        percent: Whether to write it as a percentage.
        resolution: The smallest difference worth showing; 0 where unknown.
    """
    if not isfinite(value):
        return {"nan": "no value", "inf": "infinity", "-inf": "-infinity"}[str(float(value))]
    if percent and 0 < value < 1e-6 and resolution < 1e-6:
        return "<0.0001%"
    if percent:
        return f"{_digits(100 * value, 100 * resolution)}%"
    return _digits(value, resolution)


def _digits(value: float, resolution: float) -> str:
    size, whole = abs(value), float(value).is_integer()
    tiny = max(size, resolution) < 1e-4
    if size != 0 and (tiny or size >= (1e12 if whole else 1e7)):
        return f"{value:.2e}"
    if whole and (resolution == 0 or resolution >= 10):
        return f"{value + 0.0:,.0f}"
    decimals = 2 - floor(log10(size)) if size else 2  # three significant digits
    if resolution > 0:  # two digits of the interval's width, four of the value at most
        decimals = min(decimals + 1, 1 - floor(log10(resolution)))
    text = f"{value:,.{max(0, min(decimals, 6))}f}"
    if resolution == 0 and "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.removeprefix("-") if float(text.replace(",", "")) == 0 else text


def interval(estimate: Estimate, percent: bool = False) -> str:
    """`[low, high]`; empty for a number without uncertainty."""
    if estimate.low == estimate.high:
        return ""
    width = estimate.high - estimate.low
    return f"[{number(estimate.low, percent, width)}, {number(estimate.high, percent, width)}]"


def value(estimate: Estimate, percent: bool = False) -> str:
    """The value with as many digits as its interval deserves."""
    return number(estimate.value, percent, estimate.high - estimate.low)


def estimated(estimate: Estimate, percent: bool = False) -> str:
    """`value [low, high]`."""
    return f"{value(estimate, percent)} {interval(estimate, percent)}".rstrip()


def part(estimate: Estimate) -> str:
    """A part, which has a unit of its own: a percentage only where it is a counted share."""
    return estimated(estimate, estimate.method == "proportion")


def where(entry: Entry) -> str:
    """`Calibration error on test`."""
    return f"{title(entry.measure)} on {entry.split}" if entry.split else title(entry.measure)


def address(measure: str, split: str, part: str = "") -> str:
    """As gates are written: `measure.part@split`."""
    return measure + (f".{part}" if part else "") + (f"@{split}" if split else "")


def size(count: float) -> str:
    """Bytes as `812 B`, `3.4 MiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            break
        count /= 1024
    return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"


def printable(text: str) -> str:
    """The text without control characters, which a terminal would obey."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def listed(items: list[str], last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {last} {items[-1]}"


def shortened(text: str, most: int) -> str:
    """The text, or as much of it as fits and how much was left out."""
    return text if len(text) <= most else f"{text[:most]} … ({len(text) - most:,} characters more)"


def rows(chosen: Mapping[str, Sequence[int]], most: int) -> list[str]:
    """`To begin with, rows of test: 3, 17 and 5.`, one sentence a split."""
    return [
        f"To begin with, rows of {split}: {', '.join(str(row) for row in found[:most])}"
        + (f", and {len(found) - most} more." if len(found) > most else ".")
        for split, found in chosen.items()
    ]
