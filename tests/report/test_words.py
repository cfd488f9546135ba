"""Numbers and names as people read them."""

import math

import pytest

from offmap.catalog import measures
from offmap.estimate import exact, proportion
from offmap.report import words


@pytest.mark.parametrize(
    ("value", "percent", "resolution", "text"),
    [
        (0.0, False, 0, "0"),
        (-0.0, False, 0, "0"),
        (52138.0, False, 0, "52,138"),
        (0.37, False, 0, "0.37"),
        (0.001, False, 0, "0.001"),
        (12.3456, False, 0, "12.3"),
        (-1.0849, False, 0, "-1.08"),
        (0.93421, True, 0.012, "93.4%"),
        (0.93421, True, 0.0012, "93.42%"),  # four digits at most
        (0.031, True, 0, "3.1%"),
        (1.0, True, 0, "100%"),
        (0.5, False, 0.5, "0.50"),
        (0.0, False, 0.02, "0.000"),
        (-0.00001, False, 0.02, "0.000"),
        (2.5e-7, False, 0, "2.50e-07"),
        (3.2e8 + 0.5, False, 0, "3.20e+08"),
        (1e13, False, 0, "1.00e+13"),
        (5.0, False, 20.0, "5"),
        (1234.5, False, 100.0, "1,234"),
        (math.inf, False, 0, "infinity"),
        (-math.inf, True, 0, "-infinity"),
        (math.nan, False, 0, "no value"),
    ],
)
def test_numbers(value, percent, resolution, text):
    assert words.number(value, percent, resolution) == text


def test_an_interval_has_the_digits_of_its_value():
    found = proportion(934, 1000)
    assert words.estimated(found, percent=True) == "93.4% [91.7%, 94.9%]"
    assert words.estimated(exact(3.0)) == "3"
    assert words.interval(exact(3.0)) == ""


def test_parts_are_percentages_only_where_they_count_shares():
    assert words.part(proportion(1, 4)).startswith("25%")
    assert words.part(exact(0.25)) == "0.25"


def test_what_is_read_in_percent():
    cards = {name: unit.card for name, unit in measures().items()}
    assert words.in_percent(cards["contamination"])  # share of examples
    assert words.in_percent(cards["calibration_error"])  # probability in [0, 1]
    assert not words.in_percent(cards["input_jacobian"])  # probability per unit of input
    assert not words.in_percent(cards["effective_rank"])
    assert not words.in_percent(None)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (0.0421, "0.042 s"), (9.4, "9.4 s"), (59.4, "59 s"), (60, "1 min"),
     (200, "3 min 20 s"), (7500, "2 h 5 min")],
)  # fmt: skip
def test_durations(seconds, text):
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (812, "812 B"),
        (3.4 * 2**20, "3.4 MiB"),
        (2**32, "4.0 GiB"),
        (2**45, "32768 GiB"),
    ],
)
def test_sizes(count, text):
    assert words.size(count) == text


def test_lists_and_addresses():
    assert words.title("calibration_error") == "Calibration error"
    assert words.listed(["a"]) == "a"
    assert words.listed(["a", "b", "c"]) == "a, b and c"
    assert words.address("m", "fog", "part x") == "m.part x@fog"
    assert words.address("m", "") == "m"
    assert words.shortened("abc", 3) == "abc"
    assert words.shortened("abcdef", 3) == "abc … (3 characters more)"
