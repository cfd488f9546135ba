"""Equal rows, against comparison of every pair."""

import pytest
import torch

from offmap.numerics.duplicates import also_among, first_equal, row_digests


def naive(rows):
    """For each row the first that equals it, by comparison of all pairs."""
    flat = rows.flatten(1)
    return (flat[:, None] == flat[None]).all(dim=2).double().argmax(dim=1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.uint8])
def test_finds_what_comparing_all_pairs_finds(generator, dtype):
    rows = torch.randint(3, (200, 2, 2), generator=generator).to(dtype)
    found = first_equal(row_digests(rows.split(17)))
    assert torch.equal(found, naive(rows))
    assert len(found.unique()) < 82  # there were repeats to find


def test_the_last_bit_counts(generator):
    row = torch.randn(1, 50, generator=generator)
    other = row.clone()
    other[0, 49] = torch.nextafter(other[0, 49], torch.tensor(torch.inf))
    assert first_equal(row_digests([row, other, row])).tolist() == [0, 1, 0]


def test_minus_zero_is_zero():
    rows = torch.tensor([[0.0, 1.0], [-0.0, 1.0]])
    assert first_equal(row_digests([rows])).tolist() == [0, 0]


def test_the_place_of_a_number_counts():
    rows = torch.tensor([[1.0, 2.0], [2.0, 1.0]])
    assert first_equal(row_digests([rows])).tolist() == [0, 1]


def test_rows_of_two_types_compare_in_one():
    bytes_ = torch.tensor([[1, 2]], dtype=torch.uint8)
    floats = torch.tensor([[1.0, 2.0]])
    both = [row_digests([rows], torch.float32) for rows in (bytes_, floats)]
    assert torch.equal(*both)


def test_both_halves_of_the_digest_count():
    digests = torch.tensor([[1, 1], [1, 2], [2, 1], [1, 1]])
    assert first_equal(digests).tolist() == [0, 1, 2, 0]


def test_does_not_write_into_what_it_reads():
    rows = torch.tensor([[-0.0]])
    row_digests([rows])
    assert torch.signbit(rows).item()


def test_no_rows():
    assert first_equal(row_digests([])).shape == (0,)


@pytest.mark.parametrize("size", [1, 7, 300])
def test_also_among_is_what_comparing_all_pairs_finds(generator, size):
    rows = torch.randint(4, (90, 3), generator=generator).float()
    others = torch.randint(4, (60, 3), generator=generator).double()
    found = also_among(row_digests([rows]), others.split(size), torch.float32)
    truth = (rows[:, None] == others[None]).all(dim=2).any(dim=1)
    assert torch.equal(found, truth)
    assert 20 < truth.sum() < 80


def test_rows_are_among_others_by_both_halves_of_the_digest():
    row, other = torch.tensor([[1.0]]), torch.tensor([[2.0]])
    (digest,) = row_digests([row])
    alike = torch.stack([digest ^ torch.tensor([0, 1]), digest ^ torch.tensor([1, 0]), digest])
    assert also_among(alike, [other, row]).tolist() == [False, False, True]


def test_nothing_is_among_nothing():
    assert also_among(row_digests([torch.ones(2, 1)]), []).tolist() == [False, False]
    assert also_among(row_digests([]), [torch.ones(2, 1)]).shape == (0,)
