"""How many directions a cloud fills: against enumeration, brute force and known laws."""

import itertools
import math

import numpy as np
import pytest
import torch

from offmap.numerics.spectrum import (
    centered_gram,
    moments,
    participation_ratio,
    stable_rank,
    top_variance,
)


def skewed(m, d, generator):
    """Points of a law that is neither centered nor Gaussian."""
    return torch.randn(m, d, dtype=torch.double, generator=generator) ** 3 + 2


def sample_moments(rows):
    gram = centered_gram(rows)
    return moments(len(rows), gram.trace(), gram.square().sum(), gram.diagonal().square().sum())


def test_the_gram_matrix_is_that_of_the_centered_rows(generator):
    rows = torch.randn(7, 5000, generator=generator)
    centered = rows.double().numpy() - rows.double().numpy().mean(axis=0)
    np.testing.assert_allclose(centered_gram(rows).numpy(), centered @ centered.T, rtol=1e-12)


def test_the_gram_matrix_takes_pictures_of_bytes(generator):
    rows = torch.randint(256, (6, 10), generator=generator).to(torch.uint8)
    torch.testing.assert_close(centered_gram(rows), centered_gram(rows.double()))


def test_columns_are_read_in_blocks(generator, monkeypatch):
    rows = torch.randn(7, 53, generator=generator)
    whole = centered_gram(rows)
    monkeypatch.setattr("offmap.numerics.spectrum.BLOCK_BYTES", 8 * 7 * 10)
    torch.testing.assert_close(centered_gram(rows), whole)


def test_moments_are_the_averages_over_all_four_different_points(generator):
    rows = skewed(8, 3, generator)
    one = two = count = 0
    for a, b, c, d in itertools.permutations(rows, 4):
        one += (a - b).dot(a - b) * (c - d).dot(c - d) / 4
        two += (a - b).dot(c - d) ** 2 / 4
        count += 1
    found = sample_moments(rows)
    torch.testing.assert_close(found.trace_squared, one / count)
    torch.testing.assert_close(found.squared_trace, two / count)


def test_the_jackknife_is_that_of_leaving_rows_out(generator):
    rows = skewed(9, 4, generator)

    def log(rows):
        found = sample_moments(rows)
        return found.trace_squared.log() - found.squared_trace.log()

    left = torch.stack([log(torch.cat([rows[:i], rows[i + 1 :]])) for i in range(9)])
    found = participation_ratio(centered_gram(rows))
    assert math.log(found.value) == pytest.approx(float(9 * log(rows) - 8 * left.mean()))
    assert found.log_error == pytest.approx(float((8 * left.var(correction=0)).sqrt()))


def test_points_on_a_line_have_one_direction(generator):
    line = torch.randn(30, 1, dtype=torch.double, generator=generator) @ torch.randn(
        1, 9, dtype=torch.double, generator=generator
    )
    gram = centered_gram(line)
    assert participation_ratio(gram).value == pytest.approx(1)
    below, above = stable_rank(gram)
    assert below.value == pytest.approx(1)
    assert above.value == pytest.approx(1)


def test_it_counts_more_directions_than_the_sample_can_span(generator):
    """100 points in 400 even dimensions: their own participation ratio is near 80."""
    values = torch.tensor([
        participation_ratio(
            centered_gram(torch.randn(100, 400, dtype=torch.double, generator=generator))
        ).value
        for _ in range(30)
    ])  # fmt: skip
    assert abs(values.mean() - 400) < 4 * values.std() / 30**0.5
    assert values.std() < 40


def test_the_top_eigenpair_is_that_of_a_full_decomposition(generator):
    gram = centered_gram(skewed(40, 12, generator))
    values, vectors = torch.linalg.eigh(gram)
    value, vector = top_variance(gram)
    assert value == pytest.approx(float(values[-1]), rel=1e-10)
    assert abs(float(vector @ vectors[:, -1])) == pytest.approx(1, abs=1e-9)
    assert top_variance(gram)[0] == value
    assert torch.equal(top_variance(gram)[1], vector)


def test_stable_rank_without_a_leading_direction_is_bracketed(generator):
    rows = torch.randn(100, 400, dtype=torch.double, generator=generator)
    below, above = stable_rank(centered_gram(rows))
    centered = rows - rows.mean(dim=0)
    plain = centered.square().sum() / torch.linalg.matrix_norm(centered, 2) ** 2
    assert below.value == pytest.approx(float(plain))
    assert below.value < 100  # far too low for a truth of 400
    assert 400 / math.exp(4 * above.log_error) < above.value < 400 * math.exp(4 * above.log_error)


def test_stable_rank_with_a_leading_direction_agrees_from_both_sides(generator):
    rows = torch.randn(4000, 5, dtype=torch.double, generator=generator)
    rows[:, 0] *= 3
    below, above = stable_rank(centered_gram(rows))
    for found in (below, above):
        assert abs(math.log(found.value / (13 / 9))) < 4 * found.log_error
    assert above.log_error == pytest.approx(below.log_error, rel=0.05)


def upper_from_rows(rows):
    """Total variance over that of each half along the other's leading direction, by SVD."""
    centered = rows - rows.mean(dim=0)
    held_out = 0.0
    for mine in (0, 1):
        half = rows[mine::2] - rows[mine::2].mean(dim=0)
        if half.any():
            leading = torch.linalg.svd(half, full_matrices=False).Vh[0]
            held_out += float((centered[1 - mine :: 2] @ leading).square().sum())
    return float(centered.square().sum()) / held_out


def test_the_upper_stable_rank_is_that_of_halves_of_the_rows(generator):
    """Halves with means of their own: each direction is about the mean of its half."""
    rows = torch.randn(40, 6, dtype=torch.double, generator=generator)
    rows[::2] += torch.tensor([5.0, 0, 0, 0, 0, 0])
    assert stable_rank(centered_gram(rows))[1].value == pytest.approx(upper_from_rows(rows))


def test_a_half_without_a_direction_adds_nothing():
    """Odd rows all at one place, away from the mean of all; numbers that are exact in binary."""
    rows = torch.zeros(16, 2, dtype=torch.double)
    rows[::2, 0] = 2
    rows[::2, 1] = torch.tensor([3.0, 1.0], dtype=torch.double).repeat(4)
    assert stable_rank(centered_gram(rows))[1].value == pytest.approx(upper_from_rows(rows))


def test_constant_points_have_no_directions():
    gram = centered_gram(torch.ones(20, 4))
    assert math.isnan(participation_ratio(gram).value)
    assert all(math.isnan(found.value) for found in stable_rank(gram))


def test_half_constant_points_do_not_break_the_cross_check(generator):
    rows = torch.zeros(20, 4)
    rows[::2] = torch.randn(10, 4, generator=generator)
    below, above = stable_rank(centered_gram(rows))
    assert 1 <= below.value < above.value < math.inf


def test_points_without_variance_have_a_top_eigenvalue_of_zero():
    value, vector = top_variance(torch.zeros(5, 5, dtype=torch.double))
    assert value == 0
    assert vector.norm() == pytest.approx(1)


def test_refuses_too_few_points():
    with pytest.raises(ValueError, match="at least 5 points, got 4"):
        participation_ratio(torch.eye(4, dtype=torch.double))
    with pytest.raises(ValueError, match="at least 6 points, got 5"):
        stable_rank(torch.eye(5, dtype=torch.double))
    with pytest.raises(ValueError, match="at least 3 points, got 2"):
        top_variance(torch.eye(2, dtype=torch.double))
    with pytest.raises(ValueError, match="at least 4 points, got 3"):
        moments(3, *(torch.ones((), dtype=torch.double) for _ in range(3)))
