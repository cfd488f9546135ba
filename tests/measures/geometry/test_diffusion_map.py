"""Pictures of data: what they keep, what they leave out, and who is off the map."""

import math
from dataclasses import replace

import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.stats import special_ortho_group

from offmap.attempt import CannotMeasure
from offmap.audit import audit
from offmap.figures import Scatter
from offmap.inputs import ClassPredictions, Features, RealPredictions
from offmap.measures.geometry.diffusion_map import diffusion_map
from offmap.measures.geometry.feature_map import feature_map
from offmap.numerics import diffusion
from offmap.reading import Skipped
from offmap.run import Domain, Split
from offmap.table import TensorTable
from offmap.testing import tiny

VECTOR = Domain((2,), torch.float32)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def guesses(targets, wrong=()):
    """Predictions of two classes that are right but at some rows."""
    said = targets.clone()
    said[list(wrong)] = 1 - said[list(wrong)]
    return ClassPredictions(torch.nn.functional.one_hot(said, 2).double(), targets)


def read(train, others, predictions=None, *, targets=None, seed=0, **settings):
    """Others are points by the name of their split."""
    splits = {name: Split(points, name=name) for name, points in others.items()}
    if predictions is None:
        known = {name: torch.zeros(len(points)).long() for name, points in others.items()}
        predictions = {name: guesses(values) for name, values in known.items()}
    return diffusion_map(
        Split(train, targets, name="train"), splits, predictions, VECTOR,
        generator=seeded(seed), **settings,
    )  # fmt: skip


def circle(n, seed):
    angles = 2 * math.pi * torch.rand(n, generator=seeded(seed), dtype=torch.double)
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def noise(n, d, seed):
    return torch.randn(n, d, generator=seeded(seed), dtype=torch.double)


def square(n, d, seed):
    """Uniform: none of them is isolated."""
    return torch.rand(n, d, generator=seeded(seed), dtype=torch.double)


def test_counts_by_brute_force():
    train, test = square(200, 4, 0), square(150, 4, 1)
    reading = read(train, {"test": test}, examples=150)
    found = diffusion.diffusion_map(train, 8)
    places, mass = found.place(test)
    picture = torch.from_numpy(cdist(places[:, :2], found.coordinates[:, :2])).argmin(dim=1)
    data = torch.from_numpy(cdist(test, train)).argsort(dim=1)[:, :2]  # 1 % of 200
    assert reading.value == (data == picture[:, None]).any(dim=1).double().mean().item()
    assert reading.null.value == 0.01
    weights = torch.from_numpy(cdist(train, train)).square().div(-found.bandwidth).exp()
    alone = weights.fill_diagonal_(0).sum(dim=1).quantile(0.05)
    off = (mass.exp() < alone).double().mean().item()
    assert reading.parts["test: off the map"].value == off
    assert reading.parts["slowest mode"].value == found.values[0].item()


def test_orders_what_a_plane_can_show_and_what_it_cannot():
    ring, *clouds = (
        read(train, {"test": test})
        for train, test in (
            (circle(300, 0), circle(200, 1)),
            *((noise(300, d, 0), noise(200, d, 1)) for d in (2, 4, 20)),
        )
    )
    flat, thick, foam = clouds
    assert min(ring.low, flat.low) > 0.85 > thick.high
    assert thick.low > foam.high
    assert foam.high < 0.2


def test_fresh_data_is_on_the_map_and_strangers_are_off():
    train = noise(500, 3, 0)
    others = {"test": noise(400, 3, 1), "far": noise(400, 3, 2) + 30, "still": train[:400]}
    reading = read(train, others, examples=400)
    off = {name: reading.parts[f"{name}: off the map"] for name in others}
    assert off["test"].low < 0.05 < off["test"].high + 0.03  # the edge is estimated, from 500
    assert off["far"].value == 1
    assert off["still"].value < 0.05
    bars = reading.figures[-2]
    assert dict(bars.values) == off


def test_interval_covers_the_truth():
    """Landmarks are given: what is sampled is the test examples."""
    train = noise(80, 2, 0)
    truth = read(train, {"test": noise(20_000, 2, 1)}, examples=20_000, coordinates=2).value
    covered = 0
    for seed in range(200):
        reading = read(train, {"test": noise(100, 2, seed + 2)}, coordinates=2)
        covered += reading.low <= truth <= reading.high
    assert 0.90 <= covered / 200 <= 0.99


def test_invariant_to_rotation_unit_and_order():
    train, test = noise(150, 3, 0), noise(100, 3, 1)
    turn = torch.from_numpy(special_ortho_group(3, seed=1).rvs())
    order = torch.randperm(150, generator=seeded(2))
    one = read(train, {"test": test})
    other = read((5 * train @ turn)[order], {"test": (5 * test @ turn).flip(0)})
    assert other.value == one.value
    for name, part in one.parts.items():
        scale = 5 if name.startswith("bandwidth") else 1
        assert other.parts[name].value == pytest.approx(scale * part.value), name


def test_the_picture_has_train_below_and_failures_on_top():
    train = square(600, 2, 0)
    names = ["test", "fog", "rain", "snow", "night", "dusk"]
    others = {name: square(300, 2, seed) for seed, name in enumerate(names, 1)}
    none = torch.zeros(300).long()
    predictions = {name: guesses(none) for name in names if name != "night"}  # it has no targets
    predictions["rain"] = guesses(none, wrong=[5, 17])
    reading = read(train, others, predictions, examples=300)
    figure = reading.figures[0]
    assert isinstance(figure, Scatter)
    assert len(figure.x) == len(figure.label) <= 1500
    order = list(dict.fromkeys(figure.label))
    assert order == ["train", "test", "fog", "rain", "snow", "other shifts", "wrong"]
    assert figure.label[-3:] == ("other shifts", "wrong", "wrong")
    places, _ = diffusion.diffusion_map(train, 8).place(others["rain"][[5, 17]])
    torch.testing.assert_close(figure.x[-2:], places[:, 0])
    torch.testing.assert_close(figure.y[-2:], places[:, 1])


def test_many_failures_do_not_crowd_the_picture_out():
    none = torch.zeros(2000).long()
    reading = read(
        square(2000, 2, 0), {"test": square(2000, 2, 1)},
        {"test": guesses(none, wrong=range(1500))}, landmarks=400, examples=2000,
    )  # fmt: skip
    labels = reading.figures[0].label
    assert labels.count("wrong") == 300
    assert labels.count("test") == 500
    assert labels.count("train") == 400


def test_classes_color_the_landmarks_and_tell_what_the_picture_keeps():
    targets = torch.arange(300) % 2
    train = noise(300, 2, 0) + 30.0 * targets[:, None]
    own = torch.arange(200) % 2
    test = noise(200, 2, 1) + 30.0 * own[:, None]
    reading = read(train, {"test": test}, {"test": guesses(own)}, targets=targets)
    assert reading.parts["of the same class as the nearest on the picture"].value == 1
    assert reading.parts["of the same class by chance"].value == pytest.approx(0.5, abs=0.01)
    assert reading.parts["slowest mode"].value == pytest.approx(1)
    figure = reading.figures[1]
    first = figure.x[torch.tensor([label == "0" for label in figure.label])]
    second = figure.x[torch.tensor([label == "1" for label in figure.label])]
    assert first.max() < second.min() or second.max() < first.min()


def test_largest_errors_stand_in_for_failures_where_answers_are_numbers():
    train, test = square(200, 2, 0), square(200, 2, 1)
    outputs = torch.zeros(200, 1)
    targets = torch.arange(200.0)[:, None]
    reading = read(
        train, {"test": test}, {"test": RealPredictions(outputs, targets)},
        targets=torch.zeros(200, 1), examples=200,
    )  # fmt: skip
    assert reading.figures[0].label.count("largest errors") == 10
    places, _ = diffusion.diffusion_map(train, 8).place(test[-10:])
    torch.testing.assert_close(reading.figures[0].x[-10:], places[:, 0])
    assert [figure.title for figure in reading.figures if isinstance(figure, Scatter)] == [
        "The data in diffusion coordinates, failures on top"
    ]


def test_isolated_examples_and_copies_are_no_landmarks():
    train = noise(200, 2, 0)
    train[3] = torch.tensor([500.0, 500.0])
    reading = read(torch.cat([train, train[:50]]), {"test": noise(100, 2, 1)})
    assert reading.parts["isolated training examples, which are no landmarks"].value >= 1
    assert reading.parts["bandwidth, as a length"].value < 3
    assert reading.null.n < 200


def test_the_map_of_features_is_the_same_of_features():
    train, test = noise(150, 3, 0), noise(100, 3, 1)
    none = {"test": guesses(torch.zeros(100).long())}
    features = {
        name: Features(TensorTable(x), "", 2**30) for name, x in (("a", train), ("b", test))
    }
    other = feature_map(
        Split(torch.zeros(150, 1)), features["a"], {"test": features["b"]}, none,
        generator=seeded(0),
    )  # fmt: skip
    assert other.estimate == read(train, {"test": test}).estimate


@pytest.mark.parametrize("left", ["test alone", "shifts alone", "nothing"])
def test_reads_whatever_splits_there_are(left):
    run = tiny.classification()
    run = replace(
        run,
        test=None if left != "test alone" else run.test,
        shifts={} if left != "shifts alone" else run.shifts,
    )
    report = audit(run, only=["diffusion_map", "feature_map"], threads=1)
    assert len(report.entries) == 2
    for entry in report.entries:
        if left == "nothing":
            assert isinstance(entry.outcome, Skipped)
        else:
            assert entry.reading is not None
            assert entry.reading.value > entry.reading.null.value


def test_refuses_what_has_no_map():
    test = {"test": noise(20, 2, 1)}
    with pytest.raises(CannotMeasure, match="50 different landmarks, got 49"):
        read(noise(49, 2, 0), test)
    with pytest.raises(CannotMeasure, match="50 different landmarks, got 1"):
        read(torch.ones(80, 2), test)
    with pytest.raises(CannotMeasure, match="token numbers"):
        diffusion_map(
            Split(noise(60, 2, 0)), {}, {}, Domain((8,), torch.int64, kind="tokens"),
            generator=seeded(0),
        )  # fmt: skip
    with pytest.raises(ValueError, match="got 10, 500 and 8"):
        read(noise(60, 2, 0), test, landmarks=10)
