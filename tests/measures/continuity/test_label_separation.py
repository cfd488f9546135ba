"""Distances between classes, against scipy's of all pairs."""

import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.datasets import load_digits

from offmap.attempt import CannotMeasure
from offmap.inputs import TrainNeighbors
from offmap.measures.continuity.label_separation import label_separation
from offmap.run import Split


def searched(inputs, k=8):
    rows = inputs.flatten(1).double()
    distance = torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist")
    distance.fill_diagonal_(torch.inf)
    nearest, index = distance.sort(dim=1, stable=True)
    return TrainNeighbors(torch.arange(len(rows)), nearest[:, :k], index[:, :k])


def read(inputs, labels, *, seed=0, names=None, **settings):
    train = Split(inputs, labels, name="train", class_names=names)
    generator = torch.Generator().manual_seed(seed)
    return label_separation(train, searched(inputs), generator=generator, **settings)


def apart(inputs, labels, metric):
    """Distance of each example to the nearest of another class, the slow obvious way."""
    rows = inputs.flatten(1).double().numpy()
    distance = torch.from_numpy(cdist(rows, rows, metric))
    distance[labels[:, None] == labels] = torch.inf
    return distance.amin(dim=1)


@pytest.fixture
def clouds(generator):
    """Three classes of pictures, not quite apart."""
    labels = torch.arange(120) % 3
    centers = torch.randn(3, 2, 4, 4, generator=generator)
    return centers[labels] + 0.5 * torch.randn(120, 2, 4, 4, generator=generator), labels


@pytest.mark.parametrize(("norm", "metric"), [("l2", "euclidean"), ("linf", "chebyshev")])
def test_half_the_smallest_distance_between_classes(clouds, norm, metric):
    truth = apart(*clouds, metric) / 2
    reading = read(*clouds, norm=norm)
    assert reading.value == pytest.approx(truth.min().item(), rel=1e-12)
    assert reading.estimate.method == "exact"
    assert reading.per_example is not None
    torch.testing.assert_close(reading.per_example, truth)
    for name, other in (("L2", "euclidean"), ("L-infinity", "chebyshev")):
        values = apart(*clouds, other) / 2
        assert reading.parts[f"{name}: smallest"].value == pytest.approx(values.min().item())
        middle = values.quantile(0.5, interpolation="lower").item()
        assert reading.parts[f"{name}: 50.00% quantile"].value == pytest.approx(middle)
    assert "L2: 0.01% quantile" not in reading.parts  # of 120 examples none lies below


def test_digits_are_as_far_apart_as_scipy_says():
    pixels, classes = load_digits(return_X_y=True)
    inputs, labels = torch.tensor(pixels, dtype=torch.float32) / 16, torch.tensor(classes)
    train = Split(inputs, labels, name="train")
    neighbors = searched(inputs)
    generator = torch.Generator().manual_seed(0)
    reading = label_separation(train, neighbors, norm="linf", generator=generator)
    assert reading.value == apart(inputs, labels, "chebyshev").min().item() / 2 == 0.4375 / 2
    found = apart(inputs, labels, "euclidean")
    assert reading.parts["L2: smallest"].value == pytest.approx(found.min().item() / 2)
    same = torch.cdist(inputs, inputs).double()
    same[labels[:, None] != labels] = torch.inf
    nearer = (found > same.fill_diagonal_(torch.inf).amin(dim=1)).double().mean().item()
    part = reading.parts["L2: nearer to their own class than to others"]
    assert part.value == pytest.approx(nearer)
    assert reading.null is not None
    assert reading.null.value < 0.75 * reading.value  # random labels are not this far apart


def test_shuffled_labels_are_the_null(generator):
    """With labels that are random already, the median is that of the null."""
    inputs = torch.randn(600, 6, generator=generator)
    labels = torch.randint(4, (600,), generator=generator)
    reading = read(inputs, labels)
    for norm in ("L2", "L-infinity"):
        here = reading.parts[f"{norm}: 50.00% quantile"].value
        assert here == pytest.approx(reading.parts[f"{norm}: median, random labels"].value, rel=0.1)


def test_orders_separated_overlapping_and_random_classes(generator):
    labels = torch.arange(300) % 2
    noise = torch.randn(300, 5, generator=generator)
    shift = labels[:, None].float()
    wide, near, none = (read(noise + width * shift, labels) for width in (20, 3, 0))
    assert wide.value > 5 * near.value > 0
    assert near.value > none.value
    assert wide.null is not None
    assert wide.value > 5 * wide.null.value


def test_of_a_sample_the_smallest_is_an_upper_bound(generator):
    inputs = torch.randn(300, 3, generator=generator)
    labels = torch.randint(3, (300,), generator=generator)
    truth = apart(inputs, labels, "euclidean") / 2
    whole = read(inputs, labels)
    some = read(inputs, labels, examples=40)
    assert some.estimate.method == "bound"
    assert (some.low, some.high) == (0, some.value)
    assert some.low <= whole.value <= some.value
    assert some.per_example is not None
    known = ~some.per_example.isnan()
    assert int(known.sum()) == 40
    torch.testing.assert_close(some.per_example[known], truth[known])  # against all, not the sample
    assert "at most 7.22%" in some.notes[-1]
    assert "L2: 1.00% quantile" not in read(inputs, labels, examples=200).parts  # no interval
    quantile = some.parts["L2: 50.00% quantile"]
    assert quantile.low <= truth.median().item() <= quantile.high


def test_quantiles_of_a_sample_cover_those_of_all(generator):
    inputs = torch.randn(80, 2, generator=generator)
    labels = torch.randint(2, (80,), generator=generator)
    truth = apart(inputs, labels, "euclidean").median().item() / 2
    train, neighbors, covered = Split(inputs, labels), searched(inputs), 0
    for _ in range(200):
        reading = label_separation(train, neighbors, examples=25, generator=generator)
        part = reading.parts["L2: 50.00% quantile"]
        covered += part.low <= truth <= part.high
    assert 0.90 <= covered / 200 <= 1.0  # a sample without replacement covers more


def test_lists_conflicts_and_the_nearest_pairs(clouds):
    inputs, labels = clouds[0].clone(), clouds[1]
    inputs[[7, 50]] = inputs[[0, 3]]  # 7 and 0, 50 and 3 are of different classes
    reading = read(inputs, labels, names=["ape", "bee", "cat"])
    assert reading.value == 0
    assert (
        reading.notes[0] == "Equal training inputs of different classes, by row: 0 and 7; 3 and 50."
    )
    rest = apart(inputs, labels, "euclidean")
    rest = rest[rest > 0].min().item() / 2
    assert reading.notes[1] == f"Without them the headline is {rest:.3g}."
    gallery = reading.figures[1]
    assert gallery.rows[:2].tolist() == [[0, 7], [3, 50]]
    assert gallery.captions[0] == "ape and bee, distance 0"
    assert len({tuple(sorted(pair)) for pair in gallery.rows.tolist()}) == len(gallery.rows)


def test_order_of_examples_and_names_of_classes_do_not_matter(clouds, generator):
    inputs, labels = clouds
    order = torch.randperm(120, generator=generator)
    one, other = read(inputs, labels), read(inputs[order], (2 - labels[order]) * 5)
    assert one.value == other.value
    assert one.per_example is not None
    assert other.per_example is not None
    assert torch.equal(one.per_example[order], other.per_example)
    moved = read(2 * inputs + 7, labels)
    assert moved.value == pytest.approx(2 * one.value, rel=1e-5)


def test_bytes_stay_bytes(generator):
    inputs = torch.randint(256, (60, 1, 5, 5), dtype=torch.uint8, generator=generator)
    labels = torch.arange(60) % 2
    reading = read(inputs, labels, norm="linf")
    assert reading.value == apart(inputs, labels, "chebyshev").min().item() / 2


@pytest.mark.parametrize("targets", [None, torch.rand(20), torch.ones(20, 3).long()])
def test_refuses_what_has_no_classes(targets):
    inputs = torch.rand(20, 3)
    with pytest.raises(CannotMeasure, match="no classes"):
        label_separation(
            Split(inputs, targets), searched(inputs), generator=torch.Generator().manual_seed(0)
        )


def test_refuses_one_class_and_settings_that_say_nothing(clouds):
    with pytest.raises(CannotMeasure, match="all training examples are of class 1"):
        read(clouds[0], torch.ones(120).long())
    with pytest.raises(ValueError, match="norm l2 or linf and examples >= 2, got 'l1', 10000"):
        read(*clouds, norm="l1")
    with pytest.raises(ValueError, match="got 'l2', 1"):
        read(*clouds, examples=1)
