"""How near the nearest is, for noise of known dimension, sheets, copies and shifts."""

import pytest
import torch

from offmap.attempt import CannotMeasure
from offmap.inputs import TrainNeighbors
from offmap.measures.geometry.distance_concentration import distance_concentration
from offmap.numerics.neighbors import search
from offmap.run import Split

SAME = "dimensions of Gaussian noise that reads the same"
MATCHED = "Gaussian noise of the intrinsic dimension"


def neighbors(queries, points, *, own=False):
    rows = torch.arange(len(queries))
    k = min(20, len(points) - 1)
    found = search(queries, points, k=k, exclude=rows if own else None)
    return TrainNeighbors(rows, found.distance, found.index)


def read(inputs, train):
    return distance_concentration(
        Split(inputs, name="test"),
        Split(train, name="train"),
        neighbors(inputs, train),
        neighbors(train, train, own=True),
    )


def test_by_hand():
    train = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])
    inputs = torch.tensor([[1.0, 1.0], [0.0, 0.0], [5.0, 1.0], [1.0, 0.0], [2.0, 1.0], [0.0, 1.0]])
    reading = read(inputs, train)
    apart = torch.cdist(inputs.double(), train.double())
    expected = apart.amin(dim=1) / apart.square().mean(dim=1).sqrt()
    torch.testing.assert_close(reading.per_example, expected)
    assert reading.value == pytest.approx(expected.sort().values[2].item())
    assert reading.null.n == 4
    histogram = reading.figures[0]
    assert histogram.counts["test"].sum() == 6


@pytest.mark.parametrize("d", [2, 10, 100])
def test_noise_reads_as_its_null_and_its_dimension(d, generator):
    train = torch.randn(1000, d, generator=generator)
    reading = read(torch.randn(600, d, generator=generator), train)
    assert reading.low <= reading.null.value <= reading.high
    assert reading.parts[SAME].low < d < reading.parts[SAME].high
    nothing = "The nearest training example is no nearer than in noise"
    assert [note.startswith(nothing) for note in reading.notes] == [True] * (d > 10)


def test_a_sheet_in_many_numbers_is_a_sheet(generator):
    """Two dimensions, turned into 50: all 50 vary, and distances mean what they do in two."""
    turn = torch.linalg.qr(torch.randn(50, 2, generator=generator)).Q
    train, inputs = (torch.randn(800, 2, generator=generator) @ turn.T for _ in range(2))
    reading = read(inputs, train)
    assert reading.high < 0.1 < 0.5 < reading.null.value
    assert reading.parts[SAME].low < 2 < reading.parts[SAME].high
    assert reading.parts[MATCHED].value == pytest.approx(reading.value, rel=0.15)
    assert reading.notes == ()


def test_orders_copies_sheets_and_noise(generator):
    train = torch.randn(500, 40, generator=generator)
    sheet = train.clone()
    sheet[:, 3:] *= 0.05
    fresh = torch.randn(500, 40, generator=generator)
    flat = fresh.clone()
    flat[:, 3:] *= 0.05
    readings = [read(train[:200], train), read(flat, sheet), read(fresh, train)]
    assert readings[0].value == 0
    assert SAME not in readings[0].parts
    assert readings[0].high < readings[1].low < readings[1].high < readings[2].low


def test_between_noise_and_sheets_care_is_advised(generator):
    """Noise in 200 dimensions whose spread is uneven: near its null, not at it."""
    spread = torch.linspace(0.2, 1.8, 400)
    train, inputs = (torch.randn(500, 400, generator=generator) * spread for _ in range(2))
    reading = read(inputs, train)
    assert 0.8 < reading.low < reading.high < reading.null.value
    assert "read with care" in reading.notes[0]


def test_interval_covers_the_truth(generator):
    train = torch.randn(300, 5, dtype=torch.double, generator=generator)
    truth = read(torch.randn(20000, 5, dtype=torch.double, generator=generator), train).value
    own = neighbors(train, train, own=True)
    covered = 0
    for _ in range(200):
        inputs = torch.randn(80, 5, dtype=torch.double, generator=generator)
        near = neighbors(inputs, train)
        reading = distance_concentration(Split(inputs), Split(train), near, own)
        covered += reading.low <= truth <= reading.high
    assert 0.90 <= covered / 200 <= 0.99


def test_invariant_to_order_unit_and_place(generator):
    train, inputs = (torch.rand(n, 6, dtype=torch.double, generator=generator) for n in (200, 90))
    one = read(inputs, train)
    order = torch.randperm(90, generator=generator)
    other = read(inputs[order] * 50 + 1e4, train.flip(0) * 50 + 1e4)
    assert other.value == pytest.approx(one.value)
    torch.testing.assert_close(other.per_example, one.per_example[order])
    assert other.null == one.null


def test_reads_in_blocks_and_bytes(generator, monkeypatch):
    train, inputs = (
        torch.randint(256, (n, 3, 4), generator=generator).to(torch.uint8) for n in (100, 50)
    )
    whole = read(inputs, train)
    monkeypatch.setattr("offmap.measures.geometry.spread.CHUNK_BYTES", 1)
    assert read(inputs, train).estimate == whole.estimate
    assert read(inputs.double(), train.double()).estimate == whole.estimate


def test_numbers_that_never_vary_are_not_counted(generator):
    train, inputs = (torch.randn(100, 3, generator=generator) for _ in range(2))
    padded = [torch.cat([x, torch.full((100, 5), 7.0)], dim=1) for x in (inputs, train)]
    assert read(*padded).null == read(inputs, train).null


def test_inputs_from_afar_are_no_nearer_to_one_than_to_another(generator):
    reading = read(
        torch.randn(50, 3, generator=generator) * 1e6, torch.randn(100, 3, generator=generator)
    )
    assert reading.value > 0.9999
    assert SAME not in reading.parts
    assert "say nothing" in reading.notes[0]


def test_refuses_equal_inputs_and_few_examples(generator):
    with pytest.raises(CannotMeasure, match="all training inputs are equal"):
        read(torch.randn(10, 3, generator=generator), torch.ones(20, 3))
    with pytest.raises(CannotMeasure, match="5 examples are too few"):
        read(torch.randn(5, 3, generator=generator), torch.randn(20, 3, generator=generator))
