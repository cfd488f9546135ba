"""Networks against lookup tables: counts by hand and laws of chance."""

import pytest
import torch
from scipy import stats
from torch.nn.functional import one_hot

from offmap.attempt import CannotMeasure
from offmap.inputs import ClassPredictions, TrainNeighbors
from offmap.measures.memorization.feature_lookup_agreement import feature_lookup_agreement
from offmap.measures.memorization.lookup import expected_agreement
from offmap.measures.memorization.lookup_agreement import lookup_agreement
from offmap.run import Split

ADDS, ON_MISTAKES, CHANCE = (
    "what the network adds",
    "agreement on the network's mistakes",
    "agreement of two unrelated answers",
)


def read(labels, answers, targets, *, distance=None, measure=lookup_agreement, classes=5):
    """The network says `labels`; the nearest training example, of the last rows, `answers`."""
    n = len(labels)
    train_targets = torch.cat([torch.full((3,), 4), answers])
    distance = torch.arange(n).double() if distance is None else distance
    neighbors = TrainNeighbors(torch.arange(n), distance[:, None], torch.arange(3, n + 3)[:, None])
    return measure(
        Split(torch.zeros(n, 1), targets, name="test"),
        Split(torch.zeros(n + 3, 1), train_targets, name="train"),
        ClassPredictions(one_hot(labels, classes).double(), targets),
        neighbors,
    )


def naive_expected(one, other, given):
    """Mean over examples of the share of the others in the group that agree."""
    total = count = 0
    for i in range(len(one)):
        rest = [j for j in range(len(one)) if j != i and given[j] == given[i]]
        if rest:
            total += sum(float(one[i] == other[j]) for j in rest) / len(rest)
            count += 1
    return total / count


def test_counts_by_hand():
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    answers = torch.tensor([0, 1, 1, 1, 2, 0])
    targets = torch.tensor([0, 1, 1, 0, 2, 2])
    reading = read(labels, answers, targets)
    assert reading.value == 4 / 6
    assert reading.per_example.tolist() == [1, 0, 1, 1, 1, 0]
    assert reading.parts["accuracy of the network"].value == 4 / 6
    assert reading.parts["accuracy of the lookup"].value == 4 / 6
    assert reading.parts[ADDS].value == 0
    assert reading.parts[ON_MISTAKES].value == 1 / 2
    gallery = reading.figures[1]
    assert gallery.rows.tolist() == [[1, 4], [5, 8]]
    assert gallery.captions == ("network 0, lookup 1", "network 2, lookup 0")


def test_slices_go_from_near_to_far():
    agree = torch.tensor([0, 0, 1, 1, 1])
    reading = read(
        torch.zeros(5, dtype=torch.long), 1 - agree, agree,
        distance=torch.tensor([5.0, 4.0, 3.0, 2.0, 1.0]).double(),
    )  # fmt: skip
    shares = {name: part.value for name, part in reading.figures[0].values.items()}
    assert shares == {
        "nearest fifth": 1, "second fifth": 1, "third fifth": 1, "fourth fifth": 0,
        "farthest fifth": 0,
    }  # fmt: skip


def test_expected_agreement_is_that_of_all_pairs(generator):
    one, other, given = (torch.randint(4, (40,), generator=generator) for _ in range(3))
    one = one + 3
    other = other + 3
    given[0] = 9  # alone in its group
    found = expected_agreement(one, other, given)
    assert found.value == pytest.approx(naive_expected(one, other, given))
    assert found.n == 39


def test_expected_agreement_weighs_both_sides_of_each_pair():
    """The interval against first-order terms summed in a plain loop."""
    one, other = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 1, 1])
    given = torch.zeros(4, dtype=torch.long)
    met, meets = torch.zeros(4), torch.zeros(4)
    for i in range(4):
        for j in range(4):
            if i != j:
                met[i] += float(one[i] == other[j]) / 3
                meets[i] += float(other[i] == one[j]) / 3
    rows = (met + meets - met.mean()).double()
    found = expected_agreement(one, other, given)
    half = stats.t.ppf(0.975, 3) * rows.std().item() / 2
    assert found.value == pytest.approx(float(met.mean()))
    assert found.high - found.value == pytest.approx(half)


def test_null_is_met_by_answers_that_are_independent_given_the_target(generator):
    """Both right with probability 0.7 and 0.9: they agree often, and only for that reason."""
    covered = nulls = 0
    truth = 0.7 * 0.9 + 3 * 0.1 * 0.1 / 3
    for _ in range(200):
        targets = torch.randint(4, (150,), generator=generator)

        def answer(accuracy, targets=targets):
            wrong = (targets + torch.randint(1, 4, (150,), generator=generator)) % 4
            return torch.where(torch.rand(150, generator=generator) < accuracy, targets, wrong)

        labels, answers = answer(0.7), answer(0.9)
        reading = read(labels, answers, targets)
        covered += reading.low <= truth <= reading.high
        nulls += reading.null.low <= truth <= reading.null.high
    assert 0.90 <= covered / 200 <= 0.99
    assert 0.90 <= nulls / 200 <= 0.99
    assert reading.parts[CHANCE].value == pytest.approx(0.25, abs=0.05)


def test_interval_of_what_the_network_adds_covers_the_truth(generator):
    """The network is right on every second of the lookup's mistakes of 0.3."""
    covered = 0
    for _ in range(200):
        luck = torch.rand(150, generator=generator)
        targets = torch.zeros(150, dtype=torch.long)
        reading = read((luck < 0.15).long(), (luck < 0.3).long(), targets)
        covered += reading.parts[ADDS].low <= 0.15 <= reading.parts[ADDS].high
    assert 0.90 <= covered / 200 <= 0.99


def test_orders_a_lookup_table_an_independent_and_a_contrary_network(generator):
    targets = torch.randint(2, (300,), generator=generator)

    def noisy():
        return torch.where(torch.rand(300, generator=generator) < 0.8, targets, 1 - targets)

    answers = noisy()
    table, other = read(answers, answers, targets), read(noisy(), answers, targets)
    contrary = read(1 - answers, answers, targets)
    assert table.value == 1
    assert table.low > table.null.high
    assert table.parts[ON_MISTAKES].value == 1
    assert other.low < other.null.value < other.high
    assert contrary.high < contrary.null.low


def test_invariant_to_order_and_names_of_classes(generator):
    labels, answers, targets = (torch.randint(4, (50,), generator=generator) for _ in range(3))
    order = torch.randperm(50, generator=generator)
    names = torch.tensor([3, 0, 1, 2])
    one = read(labels, answers, targets)
    other = read(*(names[column[order]] for column in (labels, answers, targets)))
    assert other.estimate == one.estimate
    assert other.null.value == pytest.approx(one.null.value)
    assert other.parts[CHANCE].value == pytest.approx(one.parts[CHANCE].value)


def test_the_twin_in_feature_space_says_the_same_of_its_neighbors(generator):
    labels, answers, targets = (torch.randint(4, (50,), generator=generator) for _ in range(3))
    one = read(labels, answers, targets)
    other = read(labels, answers, targets, measure=feature_lookup_agreement)
    assert other.estimate == one.estimate
    assert feature_lookup_agreement.needs[-1] == "feature_neighbors"


def test_a_perfect_network_has_no_agreement_on_mistakes():
    targets = torch.tensor([0, 0, 1, 1])
    reading = read(targets, targets, targets)
    assert ON_MISTAKES not in reading.parts
    assert len(reading.figures) == 1


def test_refuses_classes_of_one_example_and_unlabeled_training_data():
    labels = torch.arange(3)
    with pytest.raises(CannotMeasure, match="no class has two examples"):
        read(labels, labels, labels)
    neighbors = TrainNeighbors(labels, torch.ones(3, 1).double(), labels[:, None])
    split = Split(torch.zeros(3, 1), labels)
    with pytest.raises(CannotMeasure, match="needs the targets of train"):
        lookup_agreement(
            split,
            Split(split.inputs),
            ClassPredictions(one_hot(labels).double(), labels),
            neighbors,
        )
