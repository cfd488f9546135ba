import inspect
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.linear_model import LogisticRegression

from offmap.numerics.conformal import (
    STEEPEST,
    benjamini_hochberg,
    dkw_levels,
    grouped_knots,
    knots,
    levels,
    needed,
    p_values,
    realized,
    simes_levels,
)
from offmap.numerics.corners import p_value, pieces, placed, threshold

ANY_SCORES = st.lists(
    st.one_of(
        st.sampled_from([-3.0, 0.0, 0.0, 0.5, 2.0]),
        st.floats(-1e6, 1e6),
        st.floats(0.999, 1.001),
    ),
    min_size=1,
    max_size=60,
)


def _normal(generator: torch.Generator, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.double, generator=generator)


def _judged(scores: torch.Tensor, calibration: torch.Tensor, **how) -> torch.Tensor:
    row = knots(calibration, **how)
    return p_value(scores, row.position[None], row.level[None])


def _cutoff(calibration: torch.Tensor, alpha: float, **how) -> float:
    row = knots(calibration, **how)
    return threshold(row.position[None], row.level[None], alpha).item()


def _beyond(score: float) -> float:
    """Share of the normal law above it."""
    return math.erfc(score / math.sqrt(2)) / 2


def _around(scores: torch.Tensor) -> torch.Tensor:
    """Every score, its two neighbors among floats, and points in between and beyond."""
    ends = torch.tensor([scores.min() - 1, scores.max() + 1e-9, scores.max() + 1e7])
    middles = (scores[1:] + scores[:-1]) / 2
    infinity = torch.full_like(scores, torch.inf)
    both = (scores.nextafter(infinity), scores.nextafter(-infinity))
    return torch.cat((scores, middles, *both, ends.double()))


# ----------------------------------------------------------------------------- exact p-values


def test_exact_p_values_count_ties_against_refusal():
    calibration = torch.tensor([1.0, 2.0, 2.0, 5.0])
    scores = torch.tensor([0.0, 1.0, 1.5, 2.0, 3.0, 5.0, 6.0, torch.nan, torch.inf, -torch.inf])
    expected = [5, 5, 4, 4, 2, 2, 1, 1, 1, 1]
    assert (5 * p_values(scores, calibration)).tolist() == expected


def test_smoothed_p_values_are_uniform_though_scores_are_tied(generator):
    p = torch.cat([
        p_values(scores[:1], scores[1:], generator=generator)
        for scores in torch.randint(4, (2000, 30), generator=generator).double()
    ])  # fmt: skip
    assert stats.kstest(p.numpy(), "uniform").pvalue > 1e-4
    scores, calibration = torch.tensor([2.0, 2.0, 9.0]), torch.tensor([1.0, 2.0, 2.0, 3.0])
    p = p_values(scores.repeat(2000), calibration, generator=generator).reshape(-1, 3)
    assert ((p >= torch.tensor([0.2, 0.2, 0.0])) & (p <= torch.tensor([0.8, 0.8, 0.2]))).all()
    assert p.mean(dim=0).tolist() == pytest.approx([0.5, 0.5, 0.1], abs=4 * 0.18 / 2000**0.5)


def test_prediction_sets_are_those_of_mapie():
    """A class is in MAPIE's set (LAC) where its score's p-value is above alpha."""
    mapie = pytest.importorskip("mapie.classification")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(900, 2))
    y = ((x[:, 0] + rng.normal(size=900) > 0).astype(int)) + (x[:, 1] > 1)
    model = LogisticRegression().fit(x[:300], y[:300])
    theirs = mapie.SplitConformalClassifier(model, confidence_level=0.9, prefit=True)
    sets = theirs.conformalize(x[300:600], y[300:600]).predict_set(x[600:])[1][:, :, 0]
    probs = torch.from_numpy(model.predict_proba(x[300:]))
    calibration = 1 - probs[:300].gather(1, torch.from_numpy(y[300:600])[:, None])[:, 0]
    p = p_values((1 - probs[300:]).flatten(), calibration).reshape(300, 3)
    assert (p > 0.1).numpy().tolist() == sets.tolist()
    assert 0 < sets.mean() < 1


# --------------------------------------------------------------------- the continuous majorant


@given(ANY_SCORES)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_majorant_is_nowhere_below_the_exact_p_value(values):
    calibration = torch.tensor(values, dtype=torch.double)
    scores = _around(calibration.unique())
    p, least = _judged(scores, calibration), p_values(scores, calibration)
    assert (p >= least).all()
    assert (p <= 1).all()
    assert p[-1].item() == 1 / (len(values) + 1)


@given(ANY_SCORES)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_majorant_falls_no_faster_than_stated(values):
    calibration = torch.tensor(values, dtype=torch.double)
    row = knots(calibration)
    distinct = np.unique(values)
    low, high = np.quantile(distinct, [0.1, 0.9])
    spread = high - low if len(distinct) > 1 else abs(distinct[0]) or 1.0
    rise, fall = row.position.diff(), -row.level.diff()
    slope = STEEPEST / spread
    for halvings in range(1, 30):  # what a crowd at the strange end may ask for
        tail = len(values) >> halvings
        width = max(values) - sorted(values)[-tail] if tail >= 4 else 0.0
        if width > 1e-3 * spread:
            slope = max(slope, 2 * tail / len(values) / width)
    rounding = 1e-15 + 4e-16 * slope * row.position.abs().max()
    assert (rise > 0).all()
    assert (fall >= -rounding).all()
    assert (fall <= slope * rise + rounding).all()


def test_a_crowd_at_the_strange_end_is_refused_at_its_rate(generator):
    """-x^2 of a normal x has a density without bound at its largest value."""
    for count, alpha in ((100, 0.1), (400, 0.05), (4000, 0.05)):
        calibration = -_normal(generator, count).square()
        fresh = -_normal(generator, 20_000).square()
        exact = (p_values(fresh, calibration) <= alpha).double().mean().item()
        found = (_judged(fresh, calibration) <= alpha).double().mean().item()
        assert 0.5 * exact < found <= exact


def test_float_noise_moves_it_by_less_than_one_in_a_hundred_thousand(generator):
    laws = (
        _normal(generator, 2000),
        _normal(generator, 2000).exp() ** 3,  # heavy tail
        _normal(generator, 2000).clamp(min=0.5),  # most are tied
        _normal(generator, 200).repeat(10) + 1e-9 * _normal(generator, 2000),  # nearly tied
    )
    steps = []
    for calibration in laws:
        low, high = calibration.unique().quantile(torch.tensor([0.1, 0.9]).double())
        scores = calibration[torch.randint(2000, (5000,), generator=generator)]
        noise = 1e-6 * (2 * torch.rand(5000, dtype=torch.double, generator=generator) - 1)
        noisy = scores + (high - low) * noise
        moved = (_judged(scores, calibration) - _judged(noisy, calibration)).abs()
        assert moved.max() < 1e-5
        steps.append((p_values(scores, calibration) - p_values(noisy, calibration)).abs().max())
    assert min(steps) > 4e-4  # the step function jumps by a rank, or by as many as are tied


def test_majorant_equals_the_exact_at_scores_and_loses_one_rank_in_between(generator):
    calibration = torch.arange(50.0).double() + 0.4 * torch.rand(50, generator=generator)
    assert (_judged(calibration, calibration) - p_values(calibration, calibration)).abs().max() < (
        1e-15
    )
    scores = torch.linspace(-3, 55, 20_001, dtype=torch.double)
    loss = 51 * (_judged(scores, calibration) - p_values(scores, calibration))
    assert 0.99 < loss.max() <= 1 + 1e-12


def test_majorant_of_ties_falls_on_the_way_to_the_next_score():
    """Exact at each of four values that 99 scores take, and half way in between."""
    calibration = torch.arange(4.0).repeat_interleave(torch.tensor([50, 20, 20, 9]))
    scores = torch.tensor([-1.0, 0.0, 0.5, 1.0, 2.0, 3.0, 4.0])
    assert (100 * _judged(scores, calibration)).tolist() == pytest.approx(
        [100, 100, 75, 50, 30, 10, 1]
    )


def test_where_scores_crowd_it_is_the_least_majorant_of_its_knots_with_that_slope():
    """Against the supremum over all corners, written out."""
    generator = torch.Generator().manual_seed(3)
    tail = torch.arange(50.0).double() / 10
    calibration = torch.cat((0.001 * _normal(generator, 150), tail + 3))
    row = knots(calibration)
    distinct = calibration.sort().values
    slope = STEEPEST / (distinct.quantile(0.9) - distinct.quantile(0.1))
    p = p_values(distinct, calibration)
    slow = [(p - slope * (x - distinct))[: k + 1].max().item() for k, x in enumerate(distinct)]
    assert row.level[:-1].tolist() == pytest.approx(slow, abs=1e-12)
    assert (row.level[:-1] > p + 0.1).any()  # it binds
    assert row.level[-10:-1].tolist() == pytest.approx(p[-9:].tolist())  # and not in the tail


def test_calibration_scores_that_are_all_equal_still_make_a_function():
    for value in (0.0, 1e-30, -7.0, 3e30):
        calibration = torch.full((9,), value, dtype=torch.double)
        scores = torch.tensor([value, value + abs(value) + 1], dtype=torch.double)
        assert _judged(scores, calibration).tolist() == pytest.approx([1.0, 0.1])


def test_agrees_with_numpy_interpolation(generator):
    calibration, scores = _normal(generator, 700), 3 * _normal(generator, 3000)
    row = knots(calibration, confidence=0.9)
    expected = np.interp(scores.numpy(), row.position.numpy(), row.level.numpy())
    assert np.abs(_judged(scores, calibration, confidence=0.9).numpy() - expected).max() < 1e-14


def test_at_a_corner_it_is_the_very_level(generator):
    """Which may be alpha."""
    row = knots(_normal(generator, 300), confidence=0.9)
    found = p_value(row.position, row.position[None], row.level[None])
    assert found.tolist() == row.level.tolist()


@pytest.mark.parametrize("group", [None, 1])
@pytest.mark.parametrize("program", [False, True])
def test_between_corners_too_close_for_a_slope_it_stays_above(monkeypatch, group, program):
    """By group and alone, and as a program looks pieces up."""
    position = torch.tensor([[0.0, 1e-310, 1.0]], dtype=torch.double)
    level = torch.tensor([[0.9, 0.5, 0.1]], dtype=torch.double)
    scores = torch.tensor([-1.0, 0.0, 5e-311, 1e-310, 0.5, 1.0, 2.0], dtype=torch.double)
    if group is not None:
        position, level = torch.cat((position + 7, position)), torch.cat((level / 2, level))
        group = torch.full((7,), group)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: program)
    found = p_value(scores, position, level, group).tolist()
    assert found == [0.9, 0.9, 0.9, 0.5, pytest.approx(0.3), 0.1, 0.1]


def test_it_never_rises_on_the_way_to_a_corner(generator):
    """Rounding included: the last float before it, on 10,000 lines that begin at 0."""
    end = torch.rand(10_000, dtype=torch.double, generator=generator)
    level = torch.rand(10_000, 2, dtype=torch.double, generator=generator)
    level[:, 1] = level[:, 0] * level[:, 1] ** 4
    position = torch.stack((torch.zeros_like(end), end), dim=1)
    last = end.nextafter(torch.zeros_like(end))
    for score, row, ends in zip(*(x.split(100) for x in (last, position, level)), strict=True):
        assert (p_value(score, row, ends, torch.arange(100)) >= ends[:, 1]).all()


def test_scores_that_are_no_numbers_get_the_smallest_p_value():
    calibration = torch.arange(20.0)
    odd = torch.tensor([torch.nan, torch.inf, -torch.inf, 1e38, -1e38])
    p = _judged(odd, calibration, confidence=0.9)
    assert p.tolist() == [p.min().item()] * 4 + [1.0]
    assert p[0].item() == pytest.approx(1 - 0.1 ** (1 / 20))


def test_one_row_does_not_depend_on_the_others(generator):
    calibration, scores = _normal(generator, 100), _normal(generator, 33)
    alone = torch.cat([_judged(score[None], calibration) for score in scores])
    assert alone.tolist() == _judged(scores, calibration).tolist()
    assert _judged(scores[:0], calibration).shape == (0,)


def test_threshold_is_where_alpha_is_reached(generator):
    calibration = _normal(generator, 99)
    for how in ({}, {"confidence": 0.8}, {"confidence": 0.8, "simultaneous": True}):
        for alpha in (0.1, 0.27, 0.9):
            found = _cutoff(calibration, alpha, **how)
            beside = torch.tensor([found - 1e-9, found, found + 1e-9], dtype=torch.double)
            p = _judged(beside, calibration, **how)
            assert p[1].item() == pytest.approx(alpha)
            assert p[0] > p[1] > p[2]
    assert _cutoff(calibration, 0.0099) == math.inf
    assert _cutoff(calibration, 0.01) < calibration.max() + 1


# --------------------------------------------------------------------------------- by group


def test_groups_of_unequal_size_are_each_judged_by_their_own(generator):
    sizes = [400, 3, 50, 1]
    group = torch.arange(4).repeat_interleave(torch.tensor(sizes))
    group = group[torch.randperm(len(group), generator=generator)]
    calibration = _normal(generator, len(group)) * (1 + group) + 10 * group
    table = grouped_knots(calibration, group, 4)
    scores, which = 20 * _normal(generator, 500) + 15, torch.arange(500) % 4
    scores[:8] = torch.tensor([torch.nan, torch.inf, -torch.inf, 1e300] * 2, dtype=torch.double)
    p = p_value(scores, table.position, table.level, which)
    for g in range(4):
        own = _judged(scores[which == g], calibration[group == g])
        assert p[which == g].tolist() == own.tolist()
    cuts = threshold(table.position, table.level, 0.5)
    expected = [_cutoff(calibration[group == g], 0.5) for g in range(4)]
    assert cuts.tolist() == pytest.approx(expected)
    with pytest.raises(ValueError, match="group of each score for 4 rows of knots"):
        p_value(scores, table.position, table.level)


def test_false_alarms_are_as_promised_in_each_group_and_were_not_without():
    generator = torch.Generator().manual_seed(1)
    size, scale = torch.tensor([400, 100, 40]), torch.tensor([1.0, 2.0, 4.0], dtype=torch.double)
    group = torch.arange(3).repeat_interleave(size)
    alone, together = [], []
    for _ in range(300):
        calibration = _normal(generator, 540) * scale[group]
        table, row = grouped_knots(calibration, group, 3), knots(calibration)
        cuts = threshold(table.position, table.level, 0.1)
        alone.append(1 - torch.special.ndtr(cuts / scale))
        cut = threshold(row.position[None], row.level[None], 0.1)
        together.append(1 - torch.special.ndtr(cut / scale))
    rates, slack = torch.stack(alone), 4 * torch.stack(alone).std(dim=0) / 300**0.5
    assert (rates.mean(dim=0) <= 0.1 + slack).all()
    assert (rates.mean(dim=0) >= 0.1 - 1 / (size + 1) - 0.3 / size - slack).all()
    assert torch.stack(together).mean(dim=0)[2] > 0.2


# ------------------------------------------------------------- conditional on the calibration set


def test_pointwise_levels_are_quantiles_of_beta_laws():
    found = levels(30, confidence=0.9)
    expected = [stats.beta(r, 31 - r).ppf(0.9) for r in range(1, 31)]
    assert found.tolist() == pytest.approx([*expected, 1.0])
    assert levels(4).tolist() == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


def test_simes_levels_by_the_product_in_the_paper():
    n, k, risk = 11, 5, 0.1
    for r, found in enumerate(simes_levels(n, risk).tolist(), 1):
        i = n + 1 - r
        product = math.prod((i - j) / (n - j) for j in range(k))
        assert found == pytest.approx(1 - (risk * max(product, 0)) ** (1 / k))


def _tails(n: int, draws: int) -> torch.Tensor:
    """T_1 <= ... <= T_n of `draws` calibration sets."""
    generator = torch.Generator().manual_seed(5)
    return torch.rand(draws, n, dtype=torch.double, generator=generator).sort(dim=1).values


@pytest.mark.parametrize("n", [1, 7, 60, 400])
def test_bands_hold_at_every_rank_at_once(n):
    draws, risk = 5000, 0.1
    tails, slack = _tails(n, draws), 4 * (risk * (1 - risk) / draws) ** 0.5
    miss = {
        name: (tails > band).any(dim=1).double().mean().item()
        for name, band in {
            "simes": simes_levels(n, risk),
            "dkw": dkw_levels(n, risk),
            "both": levels(n, confidence=1 - risk, simultaneous=True)[:-1],
            "pointwise": levels(n, confidence=1 - risk)[:-1],
        }.items()
    }
    assert miss["simes"] == pytest.approx(risk, abs=slack)  # the inequality is an equality
    assert miss["dkw"] <= risk + slack
    assert miss["both"] <= risk + slack
    if n > 1:
        assert miss["both"] >= risk / 3
        assert miss["pointwise"] > risk + slack  # not meant to hold at once


def test_the_smaller_of_both_bands_is_the_sharper_where_it_matters():
    """It loses little to the better of the two with the whole risk, in the tail and the middle."""
    n, risk = 2000, 0.05
    both = levels(n, confidence=1 - risk, simultaneous=True)[:-1]
    simes, dkw = simes_levels(n, risk), dkw_levels(n, risk)
    assert both[0] < 1.3 * simes[0] < 0.2 * dkw[0]
    assert both[n // 5] < 1.02 * dkw[n // 5] < 0.9 * simes[n // 5]


@pytest.mark.parametrize("simultaneous", [False, True])
def test_the_rate_is_kept_for_this_calibration_set_with_the_stated_confidence(simultaneous):
    generator = torch.Generator().manual_seed(2)
    alphas = (0.02, 0.1, 0.5) if simultaneous else (0.1,)
    broken = {"plain": 0, "conditional": 0}
    for _ in range(300):
        calibration = _normal(generator, 400)
        for name, how in {
            "plain": {},
            "conditional": {"confidence": 0.9, "simultaneous": simultaneous},
        }.items():
            rates = [_beyond(_cutoff(calibration, alpha, **how)) for alpha in alphas]
            broken[name] += any(rate > alpha for rate, alpha in zip(rates, alphas, strict=True))
    assert broken["conditional"] / 300 <= 0.1 + 4 * (0.09 / 300) ** 0.5
    assert broken["plain"] / 300 > 0.3


# ----------------------------------------------------------------- what a promise needs and costs


@pytest.mark.parametrize(
    "how", [{}, {"confidence": 0.9}, {"confidence": 0.9, "simultaneous": True}]
)
@pytest.mark.parametrize("alpha", [0.3, 0.05, 1 / 7])
def test_needed_is_the_smallest_number_that_can_ever_refuse(how, alpha):
    n = needed(alpha, **how)
    far = torch.tensor([1e9])
    assert _judged(far, torch.arange(float(n)), **how).item() <= alpha
    assert _judged(far, torch.arange(float(n - 1)), **how).item() > alpha


def test_needed_by_closed_forms():
    assert [needed(alpha) for alpha in (0.5, 0.1, 0.05, 0.01, 0.001)] == [1, 9, 19, 99, 999]
    assert needed(0.05, confidence=0.95) == math.ceil(math.log(0.05) / math.log(0.95))


def test_step_rates_follow_the_beta_law():
    """Bates et al. 2023: the rate of p <= alpha over calibration sets, r = floor(alpha (n + 1))."""
    generator = torch.Generator().manual_seed(4)
    n, alpha = 400, 0.05
    r = math.floor(alpha * (n + 1))
    grid = torch.linspace(0, 4, 4001, dtype=torch.double)
    rates = []
    for _ in range(1000):
        p = p_values(grid, _normal(generator, n))
        rates.append(1 - torch.special.ndtr(grid[p <= alpha][0]).item())
    law = stats.beta(r, n + 1 - r)
    assert stats.kstest(rates, law.cdf).pvalue > 1e-4
    assert np.mean(rates) == pytest.approx(r / (n + 1), abs=4 * law.std() / 1000**0.5 + 1e-4)
    assert law.std() == pytest.approx(0.011, abs=0.001)


@pytest.mark.parametrize("how", [{}, {"confidence": 0.9}])
@pytest.mark.parametrize(("n", "alpha"), [(400, 0.05), (57, 0.1), (1000, 0.013)])
def test_realized_rates_lie_in_the_stated_bracket(n, alpha, how):
    generator = torch.Generator().manual_seed(6)
    stated = realized(n, alpha, **how)
    draws = _normal(generator, 500, n)
    rates = np.array([_beyond(_cutoff(row, alpha, **how)) for row in draws])
    share = ((rates >= stated.low) & (rates <= stated.high)).mean()
    assert 0.95 - 4 * (0.95 * 0.05 / 500) ** 0.5 <= share <= 0.998
    slack = 4 * rates.std() / 500**0.5
    assert rates.mean() == pytest.approx(stated.mean, abs=slack + 0.25 / (n + 1))
    if not how:
        assert stated.mean == pytest.approx(alpha - 1 / (n + 1))
        assert rates.mean() <= alpha + slack


def test_realized_refuses_what_could_never_refuse():
    assert realized(19, 0.05).low == 0
    with pytest.raises(ValueError, match=r"at least 19 calibration scores at alpha=0\.05, got 18"):
        realized(18, 0.05)


def test_calibrating_on_training_points_breaks_the_promise():
    """Mahalanobis distance fitted on 200 points in 40 dimensions: fresh points are farther out."""
    generator = torch.Generator().manual_seed(7)
    rates = {"fresh": 0.0, "training": 0.0}
    for _ in range(30):
        train, other, test = _normal(generator, 3, 200, 40)
        center = train.mean(dim=0)
        precision = torch.linalg.inv((train - center).T @ (train - center) / 199)

        def score(x, center=center, precision=precision):
            return (((x - center) @ precision) * (x - center)).sum(dim=1)

        for name, calibration in {"fresh": other, "training": train}.items():
            p = _judged(score(test), score(calibration))
            rates[name] += (p <= 0.05).double().mean().item() / 30
    assert rates["fresh"] <= 0.05 + 4 * (0.05 * 0.95 * 2 / 200 / 30) ** 0.5
    assert 2 * 0.05 < rates["training"] < 20 * 0.05


# ------------------------------------------------------------------------------------ batches


@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_discoveries_are_those_of_scipy(generator, rate):
    p = torch.rand(500, dtype=torch.double, generator=generator) ** 3
    p = torch.where(p < 0.01, p, (100 * p).ceil() / 100)  # ties
    expected = stats.false_discovery_control(p.numpy()) <= rate + 1e-12
    found = benjamini_hochberg(p, rate)
    assert found.tolist() == expected.tolist()
    assert 0 < found.sum() < 500
    assert not benjamini_hochberg(torch.ones(3), 0.1).any()
    assert benjamini_hochberg(torch.zeros(0), 0.1).shape == (0,)


@pytest.mark.parametrize("continuous", [False, True])
def test_share_of_false_discoveries_with_ten_percent_strangers(continuous):
    generator = torch.Generator().manual_seed(8)
    judge = _judged if continuous else p_values
    rate, shares, found = 0.1, [], 0
    for _ in range(1000):
        scores = _normal(generator, 200)
        scores[:20] += 4
        called = benjamini_hochberg(judge(scores, _normal(generator, 1000)), rate)
        shares.append(called[20:].sum().item() / max(1, called.sum().item()))
        found += called[:20].sum().item()
    slack = 4 * np.std(shares) / 1000**0.5
    assert np.mean(shares) <= rate * 0.9 + slack
    if not continuous:
        assert np.mean(shares) >= rate * 0.9 * 0.85 - slack
    assert found / 20_000 > 0.9


# ------------------------------------------------------------------------------- in other hands


BARE = inspect.unwrap(placed)  # without the shape checks of tests, which do not compile


class _Judge(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(9)
        group = torch.arange(3).repeat_interleave(torch.tensor([500, 20, 90]))
        table = grouped_knots(_normal(generator, 610), group, 3)
        self.register_buffer("position", table.position)
        self.register_buffer("lines", pieces(*table))

    def forward(self, scores: torch.Tensor, group: torch.Tensor) -> torch.Tensor:
        return BARE(scores, self.position, self.lines, group)


def _cases() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(10)
    scores = 2 * _normal(generator, 5000)
    scores[:3] = torch.tensor([torch.nan, torch.inf, -torch.inf])
    return scores, torch.randint(3, (5000,), generator=generator)


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # of torch, in its own exporter
def test_exported_programs_give_the_same_p_values():
    """The program of `torch.export` with a dynamic batch, and ONNX under onnxruntime."""
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    judge, cases = _Judge(), _cases()
    rows = torch.export.Dim("n")
    program = torch.export.export(
        judge, (cases[0][:7], cases[1][:7]), dynamic_shapes=({0: rows}, {0: rows})
    )
    expected = judge(*cases)
    assert program.module()(*cases).tolist() == expected.tolist()
    onnx = torch.onnx.export(program, dynamo=True, verbose=False)
    assert onnx is not None
    session = runtime.InferenceSession(onnx.model_proto.SerializeToString())
    names = [entry.name for entry in session.get_inputs()]
    found = session.run(None, dict(zip(names, (c.numpy() for c in cases), strict=True)))[0]
    assert np.abs(found - expected.numpy()).max() < 1e-12


def test_compiles_in_one_graph():
    judge, cases = _Judge(), _cases()
    compiled = torch.compile(judge, fullgraph=True, backend="aot_eager")
    assert (compiled(*cases) - judge(*cases)).abs().max() < 1e-12


def test_refuses_what_makes_no_sense():
    bad = {
        "at least one calibration score, got 0": lambda: knots(torch.zeros(0)),
        "got nan in row 1": lambda: knots(torch.tensor([0.0, torch.nan])),
        "finite calibration scores, got inf": lambda: knots(torch.tensor([torch.inf])),
        "0 < confidence < 1, got 1": lambda: knots(torch.zeros(3), confidence=1.0),
        "a confidence for simultaneous": lambda: knots(torch.zeros(3), simultaneous=True),
        "0 < alpha < 1, got 0": lambda: needed(0.0),
        "0 < alpha < 1, got 1": lambda: realized(100, 1.0),
        "0 < rate < 1": lambda: benjamini_hochberg(torch.zeros(3), 1.0),
        r"p-values in \[0, 1\]": lambda: benjamini_hochberg(torch.tensor([torch.nan]), 0.1),
        r"finite calibration scores": lambda: p_values(torch.zeros(1), torch.zeros(0)),
        r"each of 3 groups, got \[1, 0, 1\]": lambda: grouped_knots(
            torch.zeros(2), torch.tensor([0, 2]), 3
        ),
    }
    for message, call in bad.items():
        with pytest.raises(ValueError, match=message):
            call()
