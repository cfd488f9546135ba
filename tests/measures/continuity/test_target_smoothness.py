"""Slopes of the target between examples, against brute force and known targets."""

import pytest
import torch

from offmap.attempt import CannotMeasure
from offmap.inputs import TrainNeighbors
from offmap.measures.continuity.target_smoothness import distances_by_class, target_smoothness
from offmap.run import Split

ACCURACY, RADIUS = "1-NN: accuracy", "1-NN: median certified radius where it is right"
CONFLICT = "equal to a training example with another target"


def searched(queries, bank, k=5):
    distance = torch.cdist(
        queries.double(), bank.double(), compute_mode="donot_use_mm_for_euclid_dist"
    )
    nearest, index = distance.sort(dim=1, stable=True)
    return TrainNeighbors(torch.arange(len(queries)), nearest[:, :k], index[:, :k])


def read(inputs, targets, train_inputs, train_targets, *, seed=0, k=5, names=None):
    split = Split(inputs, targets, name="test", class_names=names)
    train = Split(train_inputs, train_targets, name="train")
    return target_smoothness(
        split,
        train,
        searched(inputs, train_inputs, k),
        distances_by_class(split, train),
        generator=torch.Generator().manual_seed(seed),
    )


@pytest.fixture
def blobs(generator):
    """Test and train of three overlapping classes in the plane."""
    centers = 2.5 * torch.randn(3, 2, generator=generator)
    labels, train_labels = torch.arange(80) % 3, torch.arange(200) % 3
    return (
        centers[labels] + torch.randn(80, 2, generator=generator),
        labels,
        centers[train_labels] + torch.randn(200, 2, generator=generator),
        train_labels,
    )


def test_classes_change_over_the_distance_to_the_nearest_other(blobs):
    inputs, labels, bank, bank_labels = blobs
    distance = torch.cdist(inputs.double(), bank.double())
    other = distance.masked_fill(labels[:, None] == bank_labels, torch.inf).amin(dim=1)
    same = distance.masked_fill(labels[:, None] != bank_labels, torch.inf).amin(dim=1)
    reading = read(*blobs)
    assert reading.per_example is not None
    torch.testing.assert_close(reading.per_example, 1 / other)
    assert reading.value == pytest.approx((1 / other).sort().values[39].item())
    assert reading.parts[ACCURACY].value == (same < other).double().mean().item()
    radius = ((other - same) / 2)[same < other]
    assert reading.parts[RADIUS].value == pytest.approx(radius.sort().values[len(radius) // 2 - 1])


def test_no_attack_within_the_certified_radius_changes_one_nearest_neighbor(blobs, generator):
    """Random steps, and steps straight at the nearest example of another class."""
    inputs, labels, bank, bank_labels = (values.double() for values in blobs)
    found = distances_by_class(Split(inputs, labels.long()), Split(bank, bank_labels.long()))
    radius = (found[:, 1] - found[:, 0]) / 2
    sure = radius > 0
    assert sure.sum() > 40
    target = bank[found[:, 2].long()] - inputs
    noise = torch.randn(30, *inputs.shape, dtype=torch.double, generator=generator)
    for step in (*noise, target):
        moved = inputs + 0.999 * radius[:, None] * step / step.norm(dim=1, keepdim=True)
        said = bank_labels[torch.cdist(moved, bank).argmin(dim=1)]
        assert (said == labels)[sure].all()
    # and it is no idle claim: twice the distance straight ahead does change some
    moved = inputs + 2 * radius[:, None] * target / target.norm(dim=1, keepdim=True)
    assert (bank_labels[torch.cdist(moved, bank).argmin(dim=1)] != labels)[sure].any()


def test_numbers_change_over_the_distance_to_their_neighbors(generator):
    bank = torch.randn(100, 3, generator=generator)
    inputs = torch.randn(40, 3, generator=generator)
    targets = [torch.stack([x[:, 0] * x[:, 1], x[:, 2]], dim=1) for x in (inputs, bank)]
    reading = read(inputs, targets[0], bank, targets[1], k=4)
    assert reading.per_example is not None
    for row in range(40):
        gap = (bank - inputs[row]).double().norm(dim=1)
        near = gap.argsort()[:4]
        change = (targets[1][near] - targets[0][row]).double().norm(dim=1)
        assert reading.per_example[row].item() == pytest.approx(
            (change / gap[near]).max().item(), rel=1e-5
        )
    assert {name for name in reading.parts if "1-NN" in name} == set()


def test_a_linear_target_is_never_steeper_than_its_weights(generator):
    weight = torch.tensor([3.0, -4.0, 0.0])
    bank, inputs = (torch.randn(n, 3, generator=generator) for n in (3000, 100))
    reading = read(inputs, (inputs @ weight)[:, None], bank, (bank @ weight)[:, None], k=20)
    assert reading.per_example is not None
    assert reading.per_example.max() < 5 * (1 + 1e-4)
    assert reading.value > 4  # among twenty neighbors one lies about along the weights
    assert reading.null is not None
    assert reading.null.low > 3 * reading.high  # shuffled targets are no function of place


def test_orders_smooth_rough_and_random_targets(generator):
    bank, inputs = (torch.rand(n, 2, generator=generator) for n in (800, 200))

    def wave(x, frequency):
        return (frequency * x[:, :1]).sin()

    smooth, rough = (read(inputs, wave(inputs, f), bank, wave(bank, f)) for f in (1.0, 20.0))
    random = read(
        inputs, torch.rand(200, 1, generator=generator), bank,
        torch.rand(800, 1, generator=generator),
    )  # fmt: skip
    assert smooth.high < rough.low
    for reading, times in ((smooth, 10), (rough, 2)):
        assert reading.null is not None
        assert times * reading.high < reading.null.low
    assert random.null is not None
    assert random.low < random.null.high


def test_random_labels_are_the_null(generator):
    bank, inputs = (torch.randn(n, 4, generator=generator) for n in (500, 300))
    labels = [torch.randint(3, (n,), generator=generator) for n in (300, 500)]
    reading = read(inputs, labels[0], bank, labels[1], k=20)
    assert reading.null is not None
    assert reading.low < reading.null.high
    assert reading.null.low < reading.high


def test_interval_covers_the_truth(generator):
    """Examples at 0 and 1, inputs between: the other class is U(1/2, 1) away, its median 3/4."""
    bank, labels, covered = torch.tensor([[0.0], [1.0]]), torch.tensor([0, 1]), 0
    for _ in range(200):
        inputs = torch.rand(40, 1, generator=generator)
        reading = read(inputs, (inputs[:, 0] > 0.5).long(), bank, labels, k=2)
        covered += reading.low <= 4 / 3 <= reading.high
    assert 0.90 <= covered / 200 <= 0.99


def test_conflicts_are_counted_apart(blobs):
    inputs, labels, bank, bank_labels = (values.clone() for values in blobs)
    inputs[4], inputs[9] = bank[1], bank[9]
    labels[4], labels[9] = 2, 0  # bank[1] is of class 1, bank[9] of class 0
    reading = read(inputs, labels, bank, bank_labels, names=["ape", "bee", "cat"])
    assert reading.parts[CONFLICT].value == 1 / 80
    assert reading.per_example is not None
    assert reading.per_example.isnan().nonzero().flatten().tolist() == [4]
    assert "rows 4." in reading.notes[0]
    gallery = reading.figures[-1]
    steepest = int(reading.per_example.nan_to_num(0).argmax())
    assert gallery.rows[0, 0] == steepest
    assert gallery.captions[0].startswith(["ape", "bee", "cat"][int(labels[steepest])])
    values = torch.randn(200, 1, generator=torch.Generator().manual_seed(1))
    mine = torch.randn(80, 1, generator=torch.Generator().manual_seed(2))
    mine[9] = values[9]
    numbers = read(inputs, mine, bank, values)
    assert numbers.parts[CONFLICT].value == 1 / 80


def test_order_of_examples_and_the_unit_do_not_matter(blobs, generator):
    inputs, labels, bank, bank_labels = blobs
    one = read(*blobs)
    order = torch.randperm(200, generator=generator)
    other = read(3 * inputs - 1, labels, 3 * bank[order] - 1, bank_labels[order])
    assert other.value == pytest.approx(one.value / 3, rel=1e-4)


def test_refuses_what_has_no_targets(blobs):
    inputs, labels, bank, bank_labels = blobs
    for mine, theirs in ((None, bank_labels), (labels, None)):
        with pytest.raises(CannotMeasure, match="no targets"):
            read(inputs, mine, bank, theirs)
    with pytest.raises(CannotMeasure, match="too few"):
        read(inputs[:5], labels[:5], bank, bank_labels)
