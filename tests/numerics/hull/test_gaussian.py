"""The exact share of fresh Gaussian points inside a hull, against sums, angles and simulations."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.spatial import ConvexHull

from offmap.numerics.hull import inside_probability, samples_needed, wendel_probability
from offmap.numerics.hull.gaussian import (
    _log_external,
    _log_internal,
    _log_sum,
    _log_tails,
    _log_terms,
)

# Found by another implementation (arbitrary precision), from 1 dimension on.
HALF = [
    3, 11, 27, 63, 135, 278, 555, 1084, 2080, 3934, 7353, 13_608, 24_971, 45_490, 82_345, 148_227,
    265_502, 473_469, 840_994, 1_488_471,
]  # fmt: skip


def angle(k: int, variance: float = 1.0) -> float:
    return math.exp(_log_internal(k, 1, variance)[0])


def complex_mean(n: int, r: mpmath.mpf) -> mpmath.mpf:
    """E Phi(i sqrt(r) Z)^n as it is written, in 60 digits, for r n < 1."""
    with mpmath.workdps(60):
        a, width = mpmath.sqrt(r), 12 / mpmath.sqrt(1 - n * r)

        def integrand(z: mpmath.mpf) -> mpmath.mpf:
            phi = (1 + mpmath.j * mpmath.erfi(a * z / mpmath.sqrt(2))) / 2
            return mpmath.re(mpmath.npdf(z) * phi**n)

        return mpmath.quad(integrand, [width * i / 12 for i in range(-12, 13)])


# ------------------------------------------------------------------------------------ the angles


def test_internal_angles_of_segment_triangle_tetrahedron():
    assert angle(1) == pytest.approx(1 / 2, rel=1e-13)
    assert angle(2) == pytest.approx(1 / 6, rel=1e-13)
    assert angle(3) == pytest.approx((3 * math.acos(1 / 3) - math.pi) / (4 * math.pi), rel=1e-13)


@pytest.mark.parametrize(("k", "variance"), [(5, 1), (17, 0.25), (40, 1), (30, 7)])
def test_internal_angle_equals_the_complex_mean_in_many_digits(k, variance):
    s = mpmath.mpf(variance)
    expected = complex_mean(k, s / (1 + k * s))
    found = mpmath.e ** mpmath.mpf(_log_internal(k, 1, float(variance))[0])
    assert abs(found / expected - 1) < 1e-12


@pytest.mark.parametrize(("power", "k", "variance"), [(3, 2, 1), (1000, 0, 1), (10**9, 30, 1)])
def test_external_angle_equals_the_mean_in_many_digits(power, k, variance):
    found = _log_external(np.array([float(k)]), np.array([float(power)]), float(variance))[0]
    with mpmath.workdps(40):
        r, scale = mpmath.mpf(variance) / (1 + k * variance), mpmath.exp(-mpmath.mpf(found))
        ratio = mpmath.quad(
            lambda z: scale * mpmath.npdf(z) * mpmath.ncdf(mpmath.sqrt(r) * z) ** power,
            [*range(-8, 20), *range(20, 50, 2)],
        )
    assert abs(ratio - 1) < 1e-12


@pytest.mark.parametrize(
    ("dimension", "count"),
    [(3, 10.0), (20, 40.0), (20, 2e6), (50, 2e13), (100, 3.5e24), (100, 300.0)],
)
def test_inside_and_outside_add_up_to_one(dimension, count):
    """Two sums of other terms: each error would show, for only one of them is ever used."""
    outside = _log_sum(_log_terms(count, dimension - 1, -((dimension + 1) // 2), 1.0))
    inside = _log_sum(_log_terms(count, dimension + 1, 150, 1.0))
    assert math.exp(inside) + math.exp(outside) == pytest.approx(1, abs=1e-11)


# ----------------------------------------------------------------------------- the probabilities


@pytest.mark.parametrize("count", [2, 3, 10, 1000, 10**6, 10**9])
def test_on_the_line(count):
    """Outside is to be the smallest or the largest of count + 1."""
    inside, outside = _log_tails(float(count), 1, 1.0)
    assert math.exp(inside) == pytest.approx(1 - 2 / (count + 1), rel=1e-12)
    assert math.exp(outside) == pytest.approx(2 / (count + 1), rel=1e-12)


def test_tabulated_values():
    rows = {5: (0.835, 0.966, 0.991, 0.999), 10: (0.263, 0.647, 0.844, 0.968),
            15: (0.025, 0.207, 0.455, 0.789), 20: (0.0009, 0.031, 0.134, 0.451),
            30: (0, 0.0001, 0.0022, 0.039)}  # fmt: skip
    for dimension, expected in rows.items():
        found = [inside_probability(n, dimension) for n in (1000, 10_000, 60_000, 10**6)]
        assert found == pytest.approx(expected, abs=6e-4)


def test_number_of_vertices_of_random_polytopes():
    """By exchangeability E vertices = N P(outside N - 1 others); Qhull counts them."""
    generator = np.random.default_rng(0)
    for dimension, count in ((2, 12), (3, 30), (4, 40)):
        counts = [
            len(ConvexHull(generator.standard_normal((count, dimension))).vertices)
            for _ in range(300)
        ]
        expected = count * (1 - inside_probability(count - 1, dimension))
        error = np.std(counts) / math.sqrt(len(counts))
        assert abs(np.mean(counts) - expected) < 4 * error


@pytest.mark.parametrize(
    ("dimension", "count", "variance"), [(5, 60, 1.0), (3, 12, 0.25), (4, 60, 3.0)]
)
def test_linear_programs_agree(dimension, count, variance):
    generator, trials = np.random.default_rng(1), 300
    inside = 0
    for _ in range(trials):
        points = generator.standard_normal((count, dimension))
        query = math.sqrt(variance) * generator.standard_normal(dimension)
        equal = np.vstack([points.T, np.ones(count)])
        inside += linprog(np.zeros(count), A_eq=equal, b_eq=[*query, 1.0]).success
    expected = inside_probability(count, dimension, variance=variance)
    error = math.sqrt(expected * (1 - expected) / trials)
    assert abs(inside / trials - expected) < 4 * error


@pytest.mark.parametrize(("count", "dimension"), [(5, 2), (20, 7), (20, 13), (2, 1), (2, 2)])
def test_wendel_counts_heads(count, dimension):
    tails = sum(math.comb(count - 1, k) for k in range(dimension))
    expected = 1 - tails / 2 ** (count - 1)
    assert wendel_probability(count, dimension) == pytest.approx(expected, rel=1e-12)
    assert inside_probability(count, dimension, variance=0) == pytest.approx(expected, rel=1e-12)
    near = inside_probability(count, dimension, variance=1e-9)
    assert near == pytest.approx(expected, rel=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    dimension=st.integers(1, 120),
    count=st.integers(1, 10**9),
    variance=st.floats(1e-3, 50),
)
def test_grows_with_samples_and_falls_with_dimension_and_distance(dimension, count, variance):
    here = _log_tails(float(count), dimension, variance)
    more = _log_tails(float(2 * count), dimension, variance)
    higher = _log_tails(float(count), dimension + 1, variance)
    farther = _log_tails(float(count), dimension, 1.5 * variance)
    assert here[0] <= more[0] + 1e-11
    assert higher[0] <= here[0] + 1e-11
    assert farther[0] <= here[0] + 1e-11
    assert max(here) <= 0


def test_too_few_points_have_no_inside():
    assert inside_probability(7, 7) == 0
    assert inside_probability(8, 7) > 0
    assert wendel_probability(7, 7) == 0


def test_the_smallest_probabilities_are_not_lost():
    """In many dimensions d + 2 points: only terms far below rounding beside 1 are left."""
    assert 0 < inside_probability(102, 100) < 1e-80
    assert inside_probability(60_000, 784) == 0  # below the smallest number


# --------------------------------------------------------------------------- the samples needed


def test_samples_for_one_half():
    assert [samples_needed(dimension) for dimension in range(1, 21)] == HALF


def test_on_the_line_even_ties_are_exact():
    """1 - 2 / (N + 1) is 0.5 at 3, 0.9 at 19, 0.99 at 199."""
    assert [samples_needed(1, p) for p in (0.5, 0.9, 0.99, 0.999)] == [3, 19, 199, 1999]


@settings(max_examples=25, deadline=None)
@given(dimension=st.integers(1, 25), probability=st.floats(1e-6, 0.999))
def test_is_the_least_that_suffices(dimension, probability):
    count = samples_needed(dimension, probability)
    assert inside_probability(count, dimension) >= probability * (1 - 1e-11)
    assert inside_probability(count - 1, dimension) < probability if count > 1 else True


def test_growth_per_dimension_tends_to_the_root_of_e():
    """Captured measure of the Gaussian polytope jumps at exp(d / 2)."""
    ratios = [samples_needed(d + 1) / samples_needed(d) for d in (20, 100, 500)]
    assert ratios[0] > ratios[1] > ratios[2] > math.exp(1 / 2)
    assert ratios[2] == pytest.approx(math.exp(1 / 2), rel=5e-3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: inside_probability(0, 3), "whole number of samples >= 1, got 0"),
        (lambda: inside_probability(3, 0), "whole number of dimensions >= 1, got 0"),
        (lambda: inside_probability(3, 2, variance=-1), "variance from 0 to 10000, got -1"),
        (lambda: inside_probability(3, 2, variance=math.nan), "variance from 0 to 10000, got nan"),
        (lambda: wendel_probability(-1, 2), "samples >= 1, got -1"),
        (lambda: samples_needed(0), "dimensions >= 1, got 0"),
        (lambda: samples_needed(1001), "a dimension up to 1000, got 1001"),
        (lambda: samples_needed(3, 0.0), "probability <= 1 - 1e-9, got 0.0"),
        (lambda: samples_needed(3, 1.0), "probability <= 1 - 1e-9, got 1.0"),
        (lambda: samples_needed(3, math.nan), "probability <= 1 - 1e-9, got nan"),
    ],
)
def test_refuses_what_is_out_of_range(call, message):
    with pytest.raises(ValueError, match=message.replace("+", r"\+")):
        call()
