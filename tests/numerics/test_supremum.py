"""Nearest rows in the supremum norm, against scipy's distances of all pairs."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from offmap.numerics import supremum
from offmap.numerics.neighbors import Blocks
from offmap.numerics.supremum import nearest

SMALL = 2**24  # bytes: the least memory


def twin(queries, bank, labels=None, exclude=None):
    """Distances of all pairs; what does not count is infinitely far."""
    one, other = (rows.flatten(1).double().numpy() for rows in (queries, bank))
    distance = torch.from_numpy(cdist(one, other, metric="chebyshev"))
    if labels is not None:
        distance[labels[0][:, None] == labels[1]] = torch.inf
    if exclude is not None:
        rows = (exclude >= 0).nonzero().flatten()
        distance[rows, exclude[rows]] = torch.inf
    return distance


def agrees(found, distance, rounding=0.0):
    """The least distance, up to the rounding of the values, and a row that has it."""
    least = distance.amin(dim=1)
    torch.testing.assert_close(found.distance, least, rtol=0, atol=rounding)
    there = distance[torch.arange(len(least)), found.index]
    torch.testing.assert_close(there, found.distance, rtol=0, atol=0)


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.int64])
def test_finds_what_comparing_all_pairs_finds(dtype):
    """Two tiles of rows, three of queries; columns of very different spread."""
    spread = torch.logspace(-2, 2, 33)
    queries, bank = (100 * draw(n, 33, seed=n) * spread for n in (300, 3000))
    queries, bank = queries.to(dtype), bank.to(dtype)
    agrees(nearest(queries, bank), twin(queries, bank))


@pytest.mark.parametrize("step", [1, 1 / 255, 1 / 16])
def test_pictures_are_compared_on_their_own_grid(step):
    pictures = torch.randint(256, (400, 1, 6, 6), generator=torch.Generator().manual_seed(0))
    pictures = pictures.byte() if step == 1 else pictures.float() * step
    labels = torch.arange(400) % 3
    found = nearest(pictures[:150], pictures, labels=(labels[:150], labels))
    agrees(found, twin(pictures[:150], pictures, (labels[:150], labels)), 0 if step == 1 else 1e-5)


def test_only_rows_of_another_label_count():
    rows = draw(500, 8)
    labels = torch.arange(500) // 100 * 7 - 3  # sorted, with gaps and below zero
    found = nearest(rows, rows, labels=(labels, labels))
    agrees(found, twin(rows, rows, (labels, labels)))
    assert (labels[found.index] != labels).all()


def test_an_excluded_row_is_not_reported():
    rows = draw(300, 5)
    own = torch.arange(300)
    own[::3] = -1
    found = nearest(rows, rows, exclude=own)
    agrees(found, twin(rows, rows, exclude=own))
    assert (found.distance[::3] == 0).all()
    assert (found.index[1::3] != torch.arange(300)[1::3]).all()


class Counted:
    """Rows behind `read`; remembers what was asked for."""

    def __init__(self, rows):
        self.rows, self.asked = rows, []

    def __len__(self):
        return len(self.rows)

    def read(self, start, stop):
        self.asked.append((start, stop))
        return self.rows[start:stop]


def test_little_memory_gives_the_same(monkeypatch):
    """Several panels of queries and blocks of the bank, with labels and excluded rows."""
    queries, bank = draw(150, 9000), draw(500, 9000, seed=1)
    labels = torch.arange(150) % 4, torch.arange(500) % 4
    own = torch.arange(150) + 300
    settings_ = {"labels": labels, "exclude": own}
    blocks = Counted(bank)
    assert isinstance(blocks, Blocks)
    found = nearest(queries, blocks, **settings_, memory=SMALL)
    assert len(blocks.asked) > 5
    agrees(found, twin(queries, bank, labels, own))
    whole = nearest(queries, bank, **settings_)
    assert torch.equal(found.distance, whole.distance)


@given(st.integers(0, 10**9))
@settings(max_examples=60, deadline=None)
def test_any_values_labels_and_types(seed):
    rng = np.random.default_rng(seed)
    m, n, d, classes = (int(rng.integers(1, most)) for most in (40, 400, 40, 4))
    scale, offset = 10.0 ** rng.integers(-6, 7), 10.0 ** rng.integers(-3, 7)
    levels = int(rng.choice([1, 2, 5, 300, 10**6]))
    kind = (torch.float32, torch.float64, torch.int32)[rng.integers(3)]
    sides = [
        torch.from_numpy(rng.integers(0, levels, (size, d)) / levels * scale + offset).to(kind)
        for size in (m, n)
    ]
    labels = [torch.from_numpy(rng.integers(0, classes, size)) for size in (m, n)]
    labels = labels[0], labels[1]
    distance = twin(sides[0], sides[1], labels)
    if bool(distance.isinf().all(dim=1).any()):
        with pytest.raises(ValueError, match="counts for each query"):
            nearest(sides[0], sides[1], labels=labels)
        return
    rounding = 0 if kind == torch.int32 else 8 * torch.finfo(kind).eps * float(sides[1].abs().max())
    agrees(nearest(sides[0], sides[1], labels=labels), distance, rounding)


@pytest.mark.parametrize("far", [1e6, -1e30])
def test_one_value_out_of_all_proportion(far):
    """It ruins no other row, in the bank or among the queries."""
    queries, bank = draw(50, 12), draw(2000, 12, seed=1)
    queries[3, 4] = bank[1000, 7] = bank[0, 0] = far
    agrees(nearest(queries, bank), twin(queries, bank), 1e-5)


def test_equal_rows_and_constant_data():
    rows = torch.ones(20, 3)
    found = nearest(rows, rows, exclude=torch.arange(20))
    assert (found.distance == 0).all()
    assert nearest(rows[:1], rows[:1] + 2).distance.tolist() == [2]


def test_one_number_one_row():
    found = nearest(torch.tensor([[1.5], [-2.0]]), torch.tensor([[4.0]]))
    assert found.distance.tolist() == [2.5, 6]
    assert found.index.tolist() == [0, 0]
    assert nearest(torch.empty(0, 3), torch.ones(2, 3)).index.shape == (0,)


def test_most_pairs_are_dropped_after_a_few_columns(monkeypatch):
    """Two clusters that differ in the last columns alone: those are compared first."""
    rows = draw(600, 200, seed=3) * 0.01
    rows[300:, 190:] += 5
    seen = []

    def watched(queries, columns, out, limit, dense=supremum._dense):
        found = dense(queries, columns, out, limit)
        seen.append(found[3])
        return found

    monkeypatch.setattr(supremum, "_dense", watched)
    agrees(
        nearest(rows, rows, exclude=torch.arange(600)), twin(rows, rows, None, torch.arange(600))
    )
    assert seen[0] == 200  # the seeds: all columns
    panel = supremum._Panel.of(rows, rows, supremum._Counting.of(600, 600, None, None))
    panel.best.fill_(1.0)
    block = supremum._Block(rows, 0, *panel.scale.codes(rows))
    assert supremum._order(panel, block)[0] >= 190


def test_leaves_its_arguments_alone():
    queries, bank = draw(20, 4).double(), draw(30, 4).double()
    before = queries.clone(), bank.clone()
    nearest(queries, bank)
    assert torch.equal(queries, before[0])
    assert torch.equal(bank, before[1])


@pytest.mark.parametrize(
    ("queries", "bank", "settings_", "message"),
    [
        (torch.ones(2, 3), torch.ones(4, 2), {}, "of one size, got 3 and 2"),
        (torch.ones(2, 3), torch.ones(0, 3), {}, "rows to look among, got 0 of 3"),
        (torch.ones(2, 0), torch.ones(2, 0), {}, "rows to look among, got 2 of 0"),
        (torch.ones(2, 3), torch.tensor([[0, 0, torch.nan]]), {}, "got nan in row 0 of the bank"),
        (torch.tensor([[1.0], [-torch.inf]]), torch.ones(1, 1), {}, "-inf in row 1 of the queries"),
        (
            torch.ones(2, 3),
            torch.ones(4, 3),
            {"memory": 100},
            "memory >= 16777216 for d=3, got 100",
        ),
        (
            torch.ones(2, 3),
            torch.ones(4, 3),
            {"labels": (torch.zeros(2).int(), torch.zeros(3).int())},
            "2 and 4 labels, got",
        ),
        (torch.ones(1, 3), torch.ones(4, 3), {"exclude": torch.tensor([4])}, "from -1 to 3"),
        (torch.ones(1, 3), torch.ones(1, 3), {"exclude": torch.tensor([0])}, "got none for 0"),
        (
            torch.ones(2, 3),
            torch.ones(4, 3),
            {"labels": (torch.tensor([0, 1]), torch.ones(4).int())},
            "got none for 1",
        ),
    ],
)
def test_says_what_is_wrong(queries, bank, settings_, message):
    with pytest.raises(ValueError, match=message):
        nearest(queries, bank, **settings_)
