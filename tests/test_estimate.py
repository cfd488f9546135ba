"""Closed forms against scipy, coverage with known truth, refusals."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats

from offmap.attempt import CannotMeasure
from offmap.estimate import (
    Estimate,
    bootstrap,
    bound,
    difference,
    dkw_band,
    exact,
    mean,
    proportion,
    quantile,
    ratio,
    replicates,
)

REPLICATIONS = 200


def _coverage(estimate: Callable[[torch.Generator], Estimate], truth: float) -> float:
    generator = torch.Generator().manual_seed(1)
    found = [estimate(generator) for _ in range(REPLICATIONS)]
    return sum(e.low <= truth <= e.high for e in found) / REPLICATIONS


def _normal(generator: torch.Generator, n: int) -> torch.Tensor:
    return torch.randn(n, generator=generator, dtype=torch.double)


def _hits(generator: torch.Generator, n: int, share: float) -> torch.Tensor:
    return (torch.rand(n, generator=generator) < share).double()


# ---------------------------------------------------------------------------------- closed forms


@pytest.mark.parametrize(("k", "n"), [(0, 7), (7, 7), (1, 9), (40, 100), (3, 1000), (1, 1)])
def test_proportion_is_clopper_and_pearson(k, n):
    expected = stats.binomtest(k, n).proportion_ci(0.95, method="exact")
    found = proportion(k, n)
    assert (found.value, found.method, found.n) == (k / n, "proportion", n)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_proportions_of_a_family_are_those_of_bonferroni():
    expected = stats.binomtest(12, 50).proportion_ci(1 - 0.05 / 8, method="exact")
    found = proportion(12, 50, family=8)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_mean_is_students(generator):
    rows = _normal(generator, 17) * 3 + 1
    expected = stats.ttest_1samp(rows.numpy(), 0).confidence_interval(0.95)
    found = mean(rows)
    assert (found.value, found.method, found.n) == (pytest.approx(rows.mean()), "mean", 17)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-12)


def test_mean_of_zeros_and_ones_is_a_proportion(generator):
    rows = _hits(generator, 50, 0.9)
    assert mean(rows) == proportion(int(rows.sum()), 50)
    assert mean(torch.zeros(50)).high > 0


def test_mean_of_float16_is_taken_in_float64():
    rows = torch.full((5000,), 0.1, dtype=torch.float16)
    assert mean(rows).value == pytest.approx(float(rows[0]), rel=1e-12)


def test_replicates_are_students():
    values = [0.91, 0.93, 0.90, 0.94, 0.92]
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    found = replicates(values)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-12)
    assert (found.method, found.n) == ("replicates", 5)


def test_difference_gives_the_interval_that_newcombe_printed():
    """56 of 70 against 48 of 80, method 10 of his Table II: 0.0524 to 0.3339."""
    first, second = (
        Estimate(k / n, *stats.binomtest(k, n).proportion_ci(0.95, method="wilson"), "mean", n)
        for k, n in ((56, 70), (48, 80))
    )
    found = difference(first, second)
    assert (found.value, found.n, found.method) == (pytest.approx(0.2), 70, "difference")
    assert (found.low, found.high) == (
        pytest.approx(0.0524, abs=5e-5),
        pytest.approx(0.3339, abs=5e-5),
    )


def test_difference_from_something_exact_shifts_the_interval():
    found = difference(Estimate(0.5, 0.4, 0.7, "mean", 9), exact(0.3))
    assert (found.low, found.value, found.high) == pytest.approx((0.1, 0.2, 0.4))


def test_ratio_is_the_difference_of_logarithms():
    first, second = Estimate(0.4, 0.2, 0.8, "mean", 9), Estimate(0.1, 0.05, 0.2, "mean", 5)
    found = ratio(first, second)
    assert found is not None
    half = math.log(2) * math.sqrt(2)
    expected = (4 * math.exp(-half), 4.0, 4 * math.exp(half), 5)
    assert (found.low, found.value, found.high, found.n) == pytest.approx(expected)


def test_there_is_no_ratio_where_an_interval_reaches_zero():
    positive, touching = Estimate(0.4, 0.2, 0.8, "mean", 9), proportion(0, 20)
    assert ratio(positive, touching) is None
    assert ratio(touching, positive) is None


def test_quantile_is_bounded_by_the_order_statistics_of_the_binomial(generator):
    """The shortest ranks from outside in: P(count < low) and P(count >= high), enumerated."""
    n, level = 60, 0.3
    rows = _normal(generator, n)
    counts = stats.binom(n, level).pmf(np.arange(n + 1))
    low = max(r for r in range(1, n + 1) if counts[:r].sum() <= 0.025)
    high = min(r for r in range(1, n + 1) if counts[r:].sum() <= 0.025)
    ordered = rows.sort().values
    found = quantile(rows, level)
    assert (found.low, found.high) == (ordered[low - 1].item(), ordered[high - 1].item())
    assert found.value == ordered[17].item()  # the 18th of 60


def test_bound_shows_the_middle():
    assert bound(1, 2, 7) == Estimate(1.5, 1.0, 2.0, "bound", 7)


def test_exact_has_no_width():
    assert exact(3, 4) == Estimate(3.0, 3.0, 3.0, "exact", 4)


@pytest.mark.parametrize("n", [50, 5000])
def test_dkw_band_is_the_tail_of_kolmogorov(n):
    assert dkw_band(n) == pytest.approx(stats.kstwobign.ppf(0.95) / math.sqrt(n), rel=1e-4)
    assert dkw_band(n, 0.5) == pytest.approx(math.sqrt(math.log(4) / (2 * n)), rel=1e-14)
    assert dkw_band(1, 0.999) == 1.0


def test_bootstrap_agrees_with_scipy(generator):
    """Two sets of 2000 draws; the ends of a percentile interval are known to a few percent."""
    rows = _normal(generator, 80).exp()
    other = stats.bootstrap(
        (rows.numpy(),), np.mean, method="percentile", n_resamples=2000,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    found = bootstrap(torch.mean, rows, generator=generator, draws=2000)
    width = other.confidence_interval.high - other.confidence_interval.low
    assert found.value == pytest.approx(rows.mean().item())
    assert found.low == pytest.approx(other.confidence_interval.low, abs=0.06 * width)
    assert found.high == pytest.approx(other.confidence_interval.high, abs=0.06 * width)
    assert (found.method, found.n) == ("bootstrap", 80)


def test_bootstrap_resamples_columns_together(generator):
    rows = _normal(generator, 30)
    found = bootstrap(lambda a, b: (a - b).abs().max(), rows, rows, generator=generator)
    assert (found.low, found.high) == (0, 0)


def test_bootstrap_follows_its_generator_alone(generator):
    rows = _normal(generator, 30)
    seeded = [
        bootstrap(torch.mean, rows, generator=torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    ]
    assert seeded[0] == seeded[1] != seeded[2]


def test_bootstrap_leaves_out_draws_without_a_value(generator):
    """One row in ten makes the statistic infinite: a third of the draws lack it."""
    rows = torch.ones(10)
    rows[0] = 2
    found = bootstrap(
        lambda r: torch.tensor(math.inf) if (r == 1).all() else r.mean(), rows, generator=generator
    )
    assert found.low > 1


# -------------------------------------------------------------------------------------- coverage


def test_mean_covers():
    found = _coverage(lambda g: mean(torch.rand(60, generator=g, dtype=torch.double).sqrt()), 2 / 3)
    assert 0.90 <= found <= 0.99


def test_proportion_covers():
    assert 0.90 <= _coverage(lambda g: mean(_hits(g, 200, 0.3)), 0.3) <= 0.99


def test_a_family_of_proportions_covers_all_at_once_and_single_ones_do_not():
    generator = torch.Generator().manual_seed(1)
    counts = [
        _hits(generator, 1000, 0.3).view(10, 100).sum(1).tolist() for _ in range(REPLICATIONS)
    ]

    def covered(family: int) -> float:
        return (
            sum(
                all(
                    e.low <= 0.3 <= e.high for e in (proportion(k, 100, family=family) for k in row)
                )
                for row in counts
            )
            / REPLICATIONS
        )

    assert covered(10) >= 0.95
    assert covered(1) < 0.90


def test_replicates_cover():
    assert 0.90 <= _coverage(lambda g: replicates(_normal(g, 5) + 2), 2.0) <= 0.99


@pytest.mark.parametrize("counted", [True, False])
def test_difference_covers(counted):
    def estimate(generator: torch.Generator) -> Estimate:
        if counted:
            return difference(mean(_hits(generator, 300, 0.2)), mean(_hits(generator, 150, 0.05)))
        return difference(mean(_normal(generator, 40)), mean(_normal(generator, 60) * 3 - 0.15))

    assert 0.90 <= _coverage(estimate, 0.15) <= 0.99


def test_ratio_covers():
    def estimate(generator: torch.Generator) -> Estimate:
        found = ratio(mean(_hits(generator, 400, 0.3)), mean(_hits(generator, 400, 0.1)))
        assert found is not None
        return found

    assert 0.90 <= _coverage(estimate, 3.0) <= 0.99


def test_quantile_covers():
    assert 0.90 <= _coverage(lambda g: quantile(_normal(g, 101)), 0.0) <= 0.99


def test_bootstrap_covers():
    """A ratio of means, 1 / 2."""

    def estimate(generator: torch.Generator) -> Estimate:
        a, b = torch.rand(2, 60, generator=generator, dtype=torch.double)
        return bootstrap(lambda x, y: x.sum() / y.sum(), a, a + b, generator=generator, draws=100)

    assert 0.90 <= _coverage(estimate, 0.5) <= 0.99


def test_dkw_band_covers():
    """The largest distance of the empirical distribution from that of the uniform law."""
    generator = torch.Generator().manual_seed(1)
    n, covered = 100, 0
    for _ in range(REPLICATIONS):
        values = torch.rand(n, generator=generator, dtype=torch.double).sort().values
        steps = torch.arange(n + 1, dtype=torch.double) / n
        far = max((values - steps[:-1]).max().item(), (steps[1:] - values).max().item())
        covered += far <= dkw_band(n)
    assert 0.90 <= covered / REPLICATIONS <= 0.99


# -------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_cannot_be_an_estimate(bad):
    with pytest.raises(CannotMeasure, match="finite value"):
        exact(bad)
    with pytest.raises(CannotMeasure, match="finite value"):
        Estimate(0.0, 0.0, bad, "mean", 3)


def test_a_value_lies_in_its_interval():
    with pytest.raises(ValueError, match="expected 1 <= 0 <= 2"):
        Estimate(0, 1, 2, "mean", 3)
    with pytest.raises(ValueError, match="expected 2"):
        bound(2, 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: proportion(0, 0), "at least one example"),
        (lambda: mean(torch.tensor([0.5])), "at least two values, got 1"),
        (lambda: mean(torch.empty(0)), "at least two values, got 0"),
        (lambda: mean(torch.tensor([1.0, math.nan])), "finite value"),
        (lambda: replicates([1.0]), "at least two values, got 1"),
        (lambda: quantile(torch.arange(4.0)), "too few"),
        (lambda: dkw_band(0), "at least one example"),
    ],
)
def test_too_little_evidence_is_an_outcome(call, message):
    with pytest.raises(CannotMeasure, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: proportion(3, 2), r"expected 0 <= successes <= 2, got 3"),
        (lambda: proportion(-1, 2), r"expected 0 <= successes <= 2, got -1"),
        (lambda: quantile(torch.arange(40.0), 1.0), "expected 0 < level < 1, got 1.0"),
    ],
)
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert not isinstance(caught.value, CannotMeasure)


def test_bootstrap_refuses(generator):
    rows = torch.arange(5.0)
    with pytest.raises(ValueError, match=r"equal lengths, got \[5, 4\]"):
        bootstrap(torch.mean, rows, rows[1:], generator=generator)
    with pytest.raises(ValueError, match="draws >= 20, got 19"):
        bootstrap(torch.mean, rows, generator=generator, draws=19)
    with pytest.raises(CannotMeasure, match="at least two examples, got 1"):
        bootstrap(torch.mean, rows[:1], generator=generator)
    with pytest.raises(CannotMeasure, match="fewer than half"):
        bootstrap(
            lambda r: r.mean() if torch.equal(r, rows) else torch.tensor(math.nan),
            rows, generator=generator,
        )  # fmt: skip


def test_people_read_the_interval_only_where_there_is_one():
    assert f"{exact(0.5)}" == "0.5"
    assert f"{Estimate(0.5, 0.25, 1.0, 'mean', 3):.2f}" == "0.50 [0.25, 1.00]"
