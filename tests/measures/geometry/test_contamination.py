"""Repeats between train and a split, planted and counted."""

import itertools

import pytest
import torch

from offmap.inputs import TrainNeighbors
from offmap.measures.geometry.contamination import contamination
from offmap.run import Split

EQUAL, OTHER_TARGET = "equal to a training example", "duplicates with another target"
TRAIN_COPIES, SPLIT_COPIES, TORN = (
    "train: copies of an earlier example",
    "split: copies of an earlier example",
    "train: copies that disagree on the target",
)


def searched(queries, bank, *, own=False):
    """Neighbors by brute force, exact where rows are equal."""
    queries, bank = queries.double(), bank.double()
    distance = (queries[:, None] - bank[None]).norm(dim=2)
    if own:
        distance.fill_diagonal_(torch.inf)
    nearest, index = distance.sort(dim=1, stable=True)
    return TrainNeighbors(torch.arange(len(queries)), nearest[:, :2], index[:, :2])


def read(inputs, train_inputs, targets=None, train_targets=None, **settings):
    split = Split(inputs, targets, name="test")
    train = Split(train_inputs, train_targets, name="train")
    return contamination(
        split,
        train,
        searched(inputs, train_inputs),
        searched(train_inputs, train_inputs, own=True),
        **settings,
    )


@pytest.fixture
def planted(generator):
    """40 fresh rows in ten dimensions; 4 equal, 3 nearly equal, 2 of the equal relabeled."""
    train = torch.randn(200, 10, generator=generator)
    train_targets = torch.arange(200) % 5
    test = torch.randn(40, 10, generator=generator)
    targets = torch.randint(5, (40,), generator=generator)
    test[:4], targets[:4] = train[50:54], train_targets[50:54]
    test[10:13] = train[60:63] + 1e-3
    targets[10:13] = train_targets[60:63]
    targets[:2] += 1
    return test, train, targets, train_targets


def test_finds_what_was_planted_and_nothing_else(planted):
    reading = read(*planted)
    assert reading.value == 7 / 40
    assert reading.per_example.nonzero().flatten().tolist() == [0, 1, 2, 3, 10, 11, 12]
    assert reading.parts[EQUAL].value == 4 / 40
    assert reading.parts[OTHER_TARGET].value == 2 / 7
    assert reading.parts[TRAIN_COPIES].value == 0
    assert reading.parts[SPLIT_COPIES].value == 0
    assert reading.parts[TORN].value == 0
    assert reading.null.value == 0
    assert reading.null.n == 200


def test_names_and_shows_the_rows(planted):
    reading = read(*planted)
    assert reading.notes == (
        "test equals train at rows 0 (train 50), 1 (train 51), 2 (train 52), 3 (train 53).",
        "test all but equals train at rows 10 (train 60), 11 (train 61), 12 (train 62).",
    )
    gallery = reading.figures[0]
    assert gallery.columns == ("test", "train")
    assert sorted(gallery.rows[:3].tolist()) == [[10, 60], [11, 61], [12, 62]]
    assert gallery.rows[3:].tolist() == [[0, 50], [1, 51], [2, 52], [3, 53]]
    assert gallery.captions[0] == "distance 0.00316"
    assert gallery.captions[-1] == "equal"
    assert gallery.captions[3] == f"equal, targets {planted[2][0]} and 0"


def test_near_is_measured_in_typical_distances_of_train(planted):
    assert read(*planted, near=0).value == 4 / 40
    distances = searched(planted[1], planted[1], own=True).distance[:, 0]
    just = 1e-3 * 10**0.5 / distances.median().item()
    assert read(*planted, near=just * 0.99).value == 4 / 40
    assert read(*planted, near=just * 1.01).value == 7 / 40
    unit = [values * 1000 if values.is_floating_point() else values for values in planted]
    assert read(*unit).value == 7 / 40


def test_repeats_within_train_are_the_null(generator):
    rows = torch.randn(60, 4, generator=generator)
    train = torch.cat([rows, rows[:20], rows[:5]])
    targets = torch.zeros(85, dtype=torch.long)
    targets[81] = 1  # the third copy of row 1: all three disagree
    reading = read(torch.randn(9, 4, generator=generator), train, targets[:9], targets)
    assert reading.parts[TRAIN_COPIES].value == 25 / 85
    assert reading.null.value == 45 / 85
    assert reading.parts[TORN].value == 3 / 85
    assert reading.value == 0
    assert reading.figures == ()
    assert reading.notes == ()
    assert OTHER_TARGET not in reading.parts


def test_repeats_within_the_split_are_counted_once_each(generator):
    train = torch.randn(30, 4, generator=generator)
    fresh = torch.randn(6, 4, generator=generator)
    reading = read(torch.cat([fresh, fresh[:2], train[:2], train[:1]]), train)
    assert reading.parts[SPLIT_COPIES].value == 2 / 11
    assert reading.value == 3 / 11


def test_a_negative_zero_and_another_type_are_the_same_number():
    train = torch.tensor([[0.0, 1.0], [5.0, 3.0], [9.0, 9.0]])
    reading = read(torch.tensor([[-0.0, 1.0], [5.0, 3.5]], dtype=torch.double), train, near=0)
    assert reading.per_example.tolist() == [1, 0]


def test_regression_targets_are_compared_by_row(generator):
    rows = torch.randn(10, 3, generator=generator)
    targets = torch.randn(10, 2, generator=generator)
    other = targets.clone()
    other[0, 1] += 1
    assert read(rows, rows, other, targets).parts[OTHER_TARGET].value == 1 / 10


def test_without_targets_nothing_is_said_of_them(generator):
    rows = torch.randn(10, 3, generator=generator)
    reading = read(rows, rows)
    assert {OTHER_TARGET, TORN}.isdisjoint(reading.parts)
    assert set(reading.figures[0].captions) == {"equal"}


def test_orders_clean_leaky_and_copied_splits(generator):
    train = torch.randn(300, 8, generator=generator)
    clean = torch.randn(100, 8, generator=generator)
    leaky = torch.cat([clean[:70], train[:30]])
    readings = [read(split, train) for split in (clean, leaky, train[:100])]
    for less, more in itertools.pairwise(readings):
        assert less.high < more.low


def test_chance_follows_the_stated_law(generator):
    """On a line, 1 - 2^-0.1 of fresh examples lie this near by chance."""
    train = torch.rand(2000, 1, generator=generator)
    reading = read(torch.rand(1000, 1, generator=generator), train)
    truth = 1 - 2**-0.1
    assert abs(reading.value - truth) < 4 * (truth * (1 - truth) / 1000) ** 0.5 + 0.01
    assert reading.null.low < truth < reading.null.high


def test_interval_covers_the_truth(generator):
    covered = 0
    train = torch.randn(50, 8, generator=generator)
    for _ in range(200):
        copied = torch.rand(80, generator=generator) < 0.2
        split = torch.randn(80, 8, generator=generator)
        split[copied] = train[torch.randint(50, (int(copied.sum()),), generator=generator)]
        reading = read(split, train)
        covered += reading.low <= 0.2 <= reading.high
    assert 0.90 <= covered / 200 <= 0.99


def test_refuses_a_radius_that_says_nothing(planted):
    with pytest.raises(ValueError, match="0 <= near < 1, got 1"):
        read(*planted, near=1)
