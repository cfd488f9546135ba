import math

import pytest
import torch
from scipy import stats

from offmap.seeds import derive, sample

ADDRESSES = [
    (0, "calibration_error", "test", "reading", 0, 0),
    (1, "calibration_error", "test", "reading", 0, 0),
    (0, "contamination", "test", "reading", 0, 0),
    (0, "calibration_error", "fog", "reading", 0, 0),
    (0, "calibration_error", "test", "per_example", 0, 0),
    (0, "calibration_error", "test", "reading", 1, 0),
    (0, "calibration_error", "test", "reading", 0, 1),
    (0, "calibration_error", "test", "reading"),
]


def draws(address, n=64):
    seed, *rest = address
    return torch.rand(n, generator=derive(seed, *rest), dtype=torch.double)


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_is_a_stream(address):
    assert torch.equal(draws(address), draws(address))


def test_another_address_is_another_stream():
    streams = torch.stack([draws(address) for address in ADDRESSES])
    assert len(streams.flatten().unique()) == streams.numel()


def test_streams_are_independent_of_one_another():
    """First draws over many neighboring addresses are uniform, and so are their differences."""
    first = torch.stack([draws((0, "measure", "test", index), 1)[0] for index in range(2000)])
    assert stats.kstest(first, "uniform").pvalue > 1e-4
    assert stats.kstest((first[1:] - first[:-1]) % 1, "uniform").pvalue > 1e-4


def test_the_global_state_is_not_touched():
    before = torch.get_rng_state()
    derive(0, "a")
    sample(0, "a", 100, 10)
    assert torch.equal(before, torch.get_rng_state())


def test_few_rows_are_all_taken():
    assert torch.equal(sample(0, "what", 10, 10), torch.arange(10))
    assert torch.equal(sample(0, "what", 3, 10), torch.arange(3))


def test_a_sample_is_without_replacement_and_in_order():
    rows = sample(0, "what", 1000, 100)
    assert len(rows) == 100
    assert bool((rows.diff() > 0).all())
    assert rows[0] >= 0 and rows[-1] < 1000
    assert torch.equal(rows, sample(0, "what", 1000, 100))
    assert not torch.equal(rows, sample(1, "what", 1000, 100))
    assert not torch.equal(rows, sample(0, "other", 1000, 100))


def test_every_row_is_as_likely_as_another():
    times = torch.zeros(20)
    for seed in range(1000):
        times[sample(seed, "what", 20, 5)] += 1
    slack = 4 * math.sqrt(1000 * 0.25 * 0.75)
    assert bool(((times - 250).abs() < slack).all())
