"""What training examples were learned and lost: by hand, by simulation, and in a training run."""

import itertools

import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from torch import nn

from offmap.attempt import CannotMeasure, InputError
from offmap.measures.memorization.example_forgetting import (
    example_forgetting,
    forgetting_events,
    kept_by_luck,
)
from offmap.run import History, Recipe, Split
from offmap.train import HistoryRecorder, trainer


def read(correct):
    correct = torch.as_tensor(correct).bool()
    n = correct.shape[1]
    return example_forgetting(
        History(correct), Split(torch.zeros(n, 1), torch.arange(n), name="train")
    )


def test_counts_by_hand():
    """Columns: always, learned late, once, twice, never, lost at the end."""
    reading = read([
        [1, 0, 1, 1, 0, 0],
        [1, 0, 0, 0, 0, 1],
        [1, 0, 1, 1, 0, 1],
        [1, 1, 1, 0, 0, 1],
        [1, 1, 1, 1, 0, 0],
    ])  # fmt: skip
    assert reading.value == 2 / 6
    assert reading.parts["never learned"].value == 1 / 6
    assert reading.parts["learned, but wrong at the end"].value == 1 / 6
    assert reading.parts["forgetting events"].value == 4 / 6
    assert reading.per_example is None
    histogram, gallery = reading.figures
    assert histogram.counts["learned"].tolist() == [2, 2, 1]
    assert histogram.edges.tolist() == [-0.5, 0.5, 1.5, 2.5]
    assert gallery.columns == ("train",)
    assert gallery.rows.flatten().tolist() == [3, 2, 5, 4]
    assert gallery.captions[0] == "forgotten 2 times, target 3"
    assert gallery.captions[3] == "never learned, target 4"
    assert reading.notes == (
        "Forgotten most often: train rows 3 (2 times), 2 (1 times), 5 (1 times).",
        "Never learned: 1 examples, such as train rows 4.",
    )


def test_events_are_those_of_a_plain_loop(generator):
    correct = torch.rand(9, 50, generator=generator) < 0.6
    expected = [
        sum(bool(a) and not b for a, b in itertools.pairwise(column))
        for column in correct.T.tolist()
    ]
    assert forgetting_events(correct).tolist() == expected


def test_luck_is_the_sum_over_all_histories():
    accuracy = torch.tensor([0.2, 0.7, 0.5, 0.9], dtype=torch.double)
    expected = 0.0
    for history in itertools.product([0, 1], repeat=4):
        chance = 1.0
        for right, a in zip(history, accuracy.tolist(), strict=True):
            chance *= a if right else 1 - a
        kept = any(history) and list(history) == sorted(history)
        expected += chance * kept
    assert kept_by_luck(accuracy) == pytest.approx(expected)


def test_null_is_met_by_independent_epochs(generator):
    accuracy = torch.linspace(0.3, 0.95, 8)
    covered = 0
    for _ in range(200):
        reading = read(torch.rand(8, 300, generator=generator) < accuracy[:, None])
        truth = kept_by_luck(accuracy.double())
        covered += reading.low <= truth <= reading.high
    assert 0.90 <= covered / 200 <= 0.99
    assert reading.null.value == pytest.approx(truth, abs=0.1)
    events, luck = (
        reading.parts[name] for name in ("forgetting events", "forgetting events, by luck")
    )
    assert events.low < luck.value < events.high


def test_orders_steady_and_unsteady_learning(generator):
    steady = torch.rand(200, generator=generator) * 10 < torch.arange(1, 11)[:, None]
    lucky = torch.rand(10, 200, generator=generator) < steady.double().mean(dim=1)[:, None]
    one, other = read(steady), read(lucky)
    assert one.value == 1
    assert one.low > one.null.value
    assert other.high < one.low
    assert other.low < other.null.value < other.high


def test_wrong_labels_are_forgotten_most():
    data = load_digits()
    generator = torch.Generator().manual_seed(0)
    inputs = torch.tensor(data.data[:600] / 16, dtype=torch.float)
    targets = torch.tensor(data.target[:600]).long()
    flipped = torch.zeros(600, dtype=torch.bool)
    flipped[torch.randperm(600, generator=generator)[:60]] = True
    targets = torch.where(flipped, (targets + 1) % 10, targets)
    train = Split(inputs, targets, name="train")
    recipe = Recipe(
        build=lambda: nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)),
        optimizer=lambda weights: torch.optim.SGD(weights, 0.2, momentum=0.5),
        loss=nn.functional.cross_entropy,
        epochs=30,
        batch_size=16,
    )
    recorder = HistoryRecorder(train)
    trainer(recipe, observe=recorder)(train, generator)
    reading = example_forgetting(recorder.history, train)
    assert reading.low > reading.null.value
    assert flipped[reading.figures[1].rows.flatten()].double().mean() > 0.5  # of them 0.1
    correct = recorder.history.correct
    events = forgetting_events(correct).masked_fill(~correct.any(dim=0), len(correct))
    assert roc_auc_score(flipped, events) > 0.75


def test_invariant_to_the_order_of_examples(generator):
    correct = torch.rand(6, 40, generator=generator) < 0.7
    order = torch.randperm(40, generator=generator)
    one, other = read(correct), read(correct[:, order])
    assert one.estimate == other.estimate
    assert one.null == other.null


def test_the_gallery_has_room_for_both_kinds():
    correct = torch.zeros(4, 60, dtype=torch.bool)
    correct[0, :30] = True
    rows = read(correct).figures[1].rows.flatten()
    assert len(rows) == 12
    assert int((rows < 30).sum()) == 6


def test_nothing_forgotten():
    reading = read(torch.ones(3, 10))
    assert reading.value == 1
    assert len(reading.figures) == 1
    assert reading.notes == ()


def test_refuses_another_split_and_a_single_epoch():
    history = History(torch.ones(3, 10, dtype=torch.bool))
    with pytest.raises(InputError, match="one column for each of 9 training examples, got 10"):
        example_forgetting(history, Split(torch.zeros(9, 1)))
    with pytest.raises(CannotMeasure, match="at least two recorded epochs, got 1"):
        read(torch.ones(1, 10))
