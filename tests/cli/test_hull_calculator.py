"""`offmap hull-calculator`: numbers that are known by hand, and what it refuses."""

import pytest


def rows(ran) -> list[list[str]]:
    """The cells of the table: number of samples, chance."""
    lines = ran.out.splitlines()
    start = next(i for i, line in enumerate(lines) if line.split()[:1] == ["samples"])
    body = lines[start + 1 : lines.index("", start)]
    return [line.split(maxsplit=1) for line in body]


def test_says_how_many_samples_it_takes(offmap):
    """On the line N samples hold a fresh one with probability 1 - 2 / (N + 1)."""
    ran = offmap("hull-calculator", "--dimension", 1)
    assert (ran.code, ran.err) == (0, "")
    assert "in 1 dimension?" in ran.out
    assert rows(ran) == [["2", "10 %"], ["3", "50 %"], ["19", "90 %"]]
    assert "Gaussian" in ran.out
    assert "Kabluchko and Zaporozhets 2020" in ran.out.replace("\n", " ")


def test_one_probability_or_one_number_of_samples(offmap):
    ran = offmap("hull-calculator", "--dimension", 20, "--probability", 0.5)
    assert rows(ran) == [["1,488,471", "50 %"]]
    ran = offmap("hull-calculator", "--dimension", 1, "--samples", 4)
    assert rows(ran) == [["4", "60 %"]]
    ran = offmap("hull-calculator", "--dimension", 1, "--samples", 1999, "--probability", 0.5)
    assert rows(ran) == [["3", "50 %"], ["1,999", "99.90 %"]]


def test_large_and_small_numbers_stay_readable(offmap):
    ran = offmap("hull-calculator", "--dimension", 784, "--probability", 0.5)
    (row,) = rows(ran)
    assert row[0].startswith("2.551e+174")
    ran = offmap("hull-calculator", "--dimension", 784, "--samples", 60000)
    assert rows(ran) == [["60,000", "below 1e-300"]]
    ran = offmap("hull-calculator", "--dimension", 5, "--samples", 5)  # a flat: nothing is inside
    assert rows(ran) == [["5", "0 %"]]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--dimension", 0], "expected --dimension from 1 to 1000, got 0"),
        (["--dimension", 1001], "expected --dimension from 1 to 1000, got 1001"),
        (["--dimension", 3, "--probability", 1], "expected --probability between 0 and 1, got 1"),
        (["--dimension", 3, "--probability", "nan"], "between 0 and 1, got nan"),
        (["--dimension", 3, "--samples", 0], "expected --samples of 1 or more, got 0"),
    ],
)
def test_what_is_wrong_is_one_sentence(offmap, options, said):
    ran = offmap("hull-calculator", *options)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert len(ran.err.splitlines()) == 1


def test_the_dimension_is_required(offmap):
    ran = offmap("hull-calculator")
    assert ran.code == 2
    assert "--dimension" in ran.err
