"""Distances to hulls whose distance is known, the bounds that come with them, and the null."""

import math

import pytest
import torch
from sklearn.metrics import roc_auc_score

from offmap.attempt import CannotMeasure
from offmap.inputs import ClassPredictions, RealPredictions, TrainNeighbors
from offmap.measures.geometry.hull_distance import hull_distance
from offmap.numerics.neighbors import search
from offmap.run import Split

HULL, NEAREST = "AUROC for error", "AUROC for error, nearest training example"


def read(queries, train, generator, *, predictions=None, **settings):
    found = search(queries, train, k=1)
    neighbors = TrainNeighbors(torch.arange(len(queries)), found.distance, found.index)
    said = {} if predictions is None else {"test": predictions}
    return hull_distance(
        Split(queries, name="test"), Split(train, name="train"), neighbors, said,
        generator=generator, **settings,
    )  # fmt: skip


def box(n, d, generator):
    """The corners of [-1, 1]^d and points in it, n in all."""
    corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * d).view(-1, d).double()
    amid = 2 * torch.rand(n - len(corners), d, generator=generator, dtype=torch.double) - 1
    return torch.cat([corners, amid])


def to_box(queries):
    return (queries.abs() - 1).clamp_min(0).norm(dim=1)


def radius(train):
    return (train - train.mean(dim=0)).square().sum(dim=1).mean().sqrt()


def normal(n, d, generator):
    return torch.randn(n, d, generator=generator, dtype=torch.double)


def test_distance_to_a_box(generator):
    train, queries = box(100, 3, generator), 2 * normal(80, 3, generator)
    reading = read(queries, train, generator, gap=0.01)
    truth = to_box(queries) / radius(train)
    torch.testing.assert_close(reading.per_example, truth, rtol=0.006, atol=1e-9)
    middle = truth.sort().values[39].item()
    assert reading.value == pytest.approx(middle, rel=0.01)
    assert reading.low <= middle <= reading.high
    assert reading.parts["inside"].value == (truth == 0).double().mean().item()
    far = int(truth.argmax())
    assert f"Row {far} of test is the farthest" in reading.notes[0]
    histogram, gallery = reading.figures
    assert float(histogram.counts["test"].sum()) == pytest.approx(1)
    assert gallery.rows[0, 0] == far


def test_never_farther_than_the_nearest_training_example(generator):
    train, queries = normal(200, 20, generator), normal(60, 20, generator)
    nearest = search(queries, train, k=1).distance[:, 0] / radius(train)
    for gap in (0.02, 0.9):
        reading = read(queries, train, generator, gap=gap)
        assert bool((reading.per_example <= nearest * (1 + 1e-12)).all())
        part = reading.parts["median distance to the nearest training example"]
        assert part.value == pytest.approx(nearest.sort().values[29].item(), rel=1e-12)


def test_a_loose_gap_widens_the_interval_and_still_holds_the_truth(generator):
    train, queries = normal(150, 30, generator), normal(100, 30, generator)
    tight, loose = (read(queries, train, generator, gap=gap) for gap in (0.001, 0.5))
    assert loose.low <= tight.value <= loose.high
    assert tight.high - tight.low <= loose.high - loose.low


def test_null_is_the_distance_of_held_out_training_examples(generator):
    """Fresh examples of the law of train are as far as these, if train is large."""
    train, fresh = normal(600, 12, generator), normal(400, 12, generator)
    same, apart = (read(q, train, generator) for q in (fresh, 1.5 * fresh))
    assert same.low < same.null.value < same.high
    assert same.null.n == 60
    assert apart.low > apart.null.high
    amid = read(0.1 * fresh, train, generator)
    assert amid.value == 0 == amid.parts["inside"].value - 1


def test_intervals_cover_the_truth(generator):
    """Distances to [-1, 1] uniform on [0, 1] for hits and on [0.5, 2.5] for mistakes.

    The median of both together is 5/6, the area 1 - 1/16.
    """
    train, medians, areas = box(60, 1, generator), 0, 0
    for _ in range(200):
        wrong = torch.rand(120, generator=generator) < 0.5
        logits = torch.stack([(~wrong).double(), wrong.double()], dim=1)
        predictions = ClassPredictions(logits, torch.zeros(120).long())
        far = torch.rand(120, 1, generator=generator, dtype=torch.double)
        far[wrong] = 2 * far[wrong] + 0.5
        reading = read(1 + far, train, generator, predictions=predictions)
        medians += reading.low <= (5 / 6 / radius(train)).item() <= reading.high
        part = reading.parts[HULL]
        areas += part.low <= 1 - 1 / 16 <= part.high
    assert 0.90 <= medians / 200 <= 0.99
    assert 0.90 <= areas / 200 <= 0.99


def test_areas_agree_with_sklearn(generator):
    """Mistakes where the box is far; the nearest example is another matter."""
    train, queries = box(120, 2, generator), 2.5 * normal(200, 2, generator)
    truth = to_box(queries)
    wrong = truth + 0.5 * normal(200, 1, generator)[:, 0] > 1.5
    targets = torch.zeros(200, dtype=torch.int64)
    logits = torch.stack([(~wrong).double(), wrong.double()], dim=1)
    reading = read(
        queries, train, generator, predictions=ClassPredictions(logits, targets), gap=1e-4
    )
    nearest = search(queries, train, k=1).distance[:, 0]
    hull, rival = roc_auc_score(wrong, truth), roc_auc_score(wrong, nearest)
    assert reading.parts[HULL].value == pytest.approx(hull, abs=1e-3)
    assert reading.parts[NEAREST].value == pytest.approx(rival)
    lead = reading.parts["hull minus nearest, AUROC"]
    assert lead.value == pytest.approx(hull - rival, abs=1e-3)
    assert reading.parts[HULL].low > 0.5
    loose = read(
        queries, train, generator, predictions=ClassPredictions(logits, targets), gap=0.9
    ).parts
    for name in (HULL, "hull minus nearest, AUROC"):
        assert loose[name].low <= reading.parts[name].value <= loose[name].high
        width = reading.parts[name].high - reading.parts[name].low
        assert loose[name].high - loose[name].low >= width


def test_other_tasks_have_large_errors_and_small_ones(generator):
    train, queries = box(100, 2, generator), 3 * normal(90, 2, generator)
    error = to_box(queries) + 2 * torch.rand(90, generator=generator)
    outputs = error.sqrt()[:, None]
    predictions = RealPredictions(outputs, torch.zeros_like(outputs))
    part = read(queries, train, generator, predictions=predictions, gap=1e-4).parts[HULL]
    assert part.value == pytest.approx(
        roc_auc_score(error > error.median(), to_box(queries)), abs=2e-3
    )
    assert part.low > 0.5


def test_moving_turning_and_scaling_all_data_changes_no_distance(generator):
    train, queries = normal(100, 4, generator), 2 * normal(50, 4, generator)
    turn = torch.linalg.qr(normal(4, 4, generator)).Q
    expected = read(queries, train, generator, gap=1e-3)
    moved = read(7 * queries @ turn + 3, 7 * train @ turn + 3, generator, gap=1e-3)
    torch.testing.assert_close(moved.per_example, expected.per_example, rtol=1e-3, atol=1e-9)
    order = torch.randperm(50, generator=generator)
    again = read(queries[order], train, generator, gap=1e-3)
    torch.testing.assert_close(again.per_example, expected.per_example[order], rtol=1e-3, atol=1e-9)


def test_looks_at_a_sample_of_whole_numbers(generator):
    train = torch.randint(0, 256, (70, 1, 3, 3), dtype=torch.uint8, generator=generator)
    queries = torch.randint(0, 256, (40, 1, 3, 3), dtype=torch.uint8, generator=generator)
    reading = read(queries, train, generator, examples=20)
    assert int(reading.per_example.isfinite().sum()) == 20
    assert reading.estimate.n == 20


def test_refuses_too_little_and_one_point(generator):
    with pytest.raises(CannotMeasure, match="at least 60 training examples, got 59"):
        read(normal(9, 2, generator), normal(59, 2, generator), generator)
    with pytest.raises(CannotMeasure, match="all training examples are equal"):
        read(normal(9, 2, generator), torch.ones(60, 2).double(), generator)
    with pytest.raises(CannotMeasure, match="5 examples are too few"):
        read(normal(5, 2, generator), normal(60, 2, generator), generator)
    with pytest.raises(ValueError, match="expected gap > 0, got 0"):
        read(normal(9, 2, generator), normal(60, 2, generator), generator, gap=0)
    assert math.isfinite(read(normal(6, 2, generator), normal(60, 2, generator), generator).value)
