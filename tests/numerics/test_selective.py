import math

import numpy as np
import pytest
import torch
from scipy import stats

from offmap.numerics.selective import (
    STARTS,
    STEPS,
    coverage_by_group,
    risk_threshold,
    rows_needed,
)


def _world(generator, n: int, worst: float = 0.5, power: float = 4.0):
    """Confidence c is uniform, the chance of error worst (1 - c)^power."""
    confidence = torch.rand(n, dtype=torch.double, generator=generator)
    chance = worst * (1 - confidence) ** power
    return confidence, torch.rand(n, generator=generator) < chance


def _risk(t: float, worst: float = 0.5, power: float = 4.0) -> float:
    return worst * (1 - max(t, 0.0)) ** power / (power + 1)


def _slow(confidence: np.ndarray, error: np.ndarray, target: float, certainty: float):
    """Both sequences by hand, one binomial test at a time."""
    n, level = len(confidence), (1 - certainty) / len(STARTS)
    ordered = np.sort(confidence)[::-1]
    cuts = [*ordered, -np.inf]
    tests = []  # (answered, threshold, passed)
    for step in range(1, STEPS + 1):
        cut = cuts[round(step * n / STEPS)]
        inside = confidence > cut
        p = stats.binom.cdf(error[inside].sum(), inside.sum(), target)
        tests.append((inside.sum(), cut, p <= level))
    least = min(m for m in range(1, 10**6) if (1 - target) ** m <= level)
    found = []
    for start in STARTS:
        for answered, cut, passed in tests:
            if answered < max(least, start * n):
                continue
            if not passed:
                break
            found.append(cut)
    return min(found, default=None)


@pytest.mark.parametrize("n", [50, 333, 1000])
@pytest.mark.parametrize("target", [0.02, 0.05, 0.3])
def test_matches_tests_made_by_hand(generator, n, target):
    for digits in (1, 2, 9):  # coarse confidences are tied
        confidence, error = _world(generator, n)
        confidence = (confidence * 10**digits).round() / 10**digits
        found = risk_threshold(confidence, error, target, certainty=0.9)
        assert found == _slow(confidence.numpy(), error.numpy(), target, 0.9)


def test_matches_the_fixed_sequences_of_mapie():
    """Its p-values at the same thresholds (correct answers are its positives), its sequences."""
    control = pytest.importorskip("mapie.risk_control")
    generator = torch.Generator().manual_seed(1)
    confidence, error = _world(generator, 1000)
    ordered, answered = np.sort(confidence.numpy())[::-1], np.arange(20, 1000, 20)
    controller = control.BinaryClassificationController(
        predict_function=lambda x: np.stack([1 - x[:, 0], x[:, 0]], axis=1),
        risk=control.precision,
        target_level=1 - 0.05,
        confidence_level=0.9,
        list_predict_params=np.nextafter(ordered[answered], 1),  # it answers at the threshold too
        fwer_method="bonferroni",
    )
    controller.calibrate(confidence[:, None].numpy(), (~error).numpy().astype(int))
    found = []
    for start in STARTS:
        first = int((answered < max(start * 1000, 59)).sum())
        p = controller.p_values[first:].ravel()
        passed = control.control_fwer(p, 0.1 / len(STARTS), "fixed_sequence")
        found += ordered[answered[first:][passed]].tolist()
    assert len(found) > 20
    assert risk_threshold(confidence, error, 0.05, certainty=0.9) == min(found)


@pytest.mark.parametrize("certainty", [0.8, 0.95])
def test_true_risk_exceeds_the_target_no_oftener_than_stated(certainty):
    generator = torch.Generator().manual_seed(2)
    broken, coverage = 0, []
    for _ in range(1000):
        found = risk_threshold(*_world(generator, 600), 0.05, certainty=certainty)
        broken += found is not None and _risk(found) > 0.05
        coverage.append(0.0 if found is None else 1 - max(found, 0.0))
    miss = 1 - certainty
    assert broken / 1000 <= miss + 4 * (miss * certainty / 1000) ** 0.5
    assert broken / 1000 >= miss / 10  # not idly
    assert np.mean(coverage) > 0.75 * (0.05 * 5 / 0.5) ** 0.25  # of what is possible at most


def test_true_risk_where_it_rises_and_falls_again():
    """A bad patch among the confident: nothing is proved there, and the promise holds."""
    generator = torch.Generator().manual_seed(3)
    broken = 0
    for _ in range(1000):
        c = torch.rand(500, dtype=torch.double, generator=generator)
        patch = (c > 0.6) & (c < 0.65)
        error = torch.rand(500, generator=generator) < torch.where(patch, 0.45, 0.03)
        found = risk_threshold(c, error, 0.08, certainty=0.9)
        if found is not None:
            t = max(found, 0.0)
            bad = max(0.0, min(0.65, 1.0) - max(t, 0.6)) if t < 0.65 else 0.0
            broken += (0.03 * (1 - t) + 0.42 * bad) / (1 - t) > 0.08
    assert broken / 1000 <= 0.1 + 4 * (0.09 / 1000) ** 0.5


def test_answers_all_when_all_is_well_and_none_when_nothing_is(generator):
    confidence = torch.rand(500, generator=generator)
    never, often = torch.zeros(500, dtype=torch.bool), torch.rand(500, generator=generator) < 0.3
    assert risk_threshold(confidence, never, 0.05) == -math.inf
    assert risk_threshold(confidence, often, 0.05) is None
    assert risk_threshold(torch.ones(500), never, 0.05) == -math.inf
    assert risk_threshold(torch.ones(500), often, 0.05) is None


def test_blind_confidence_gives_no_half_measures(generator):
    """Errors independent of confidence, at a rate above the target: nothing is certified."""
    certified = [
        risk_threshold(
            torch.rand(400, generator=generator),
            torch.rand(400, generator=generator) < 0.12,
            0.1,
            certainty=0.95,
        )
        for _ in range(200)
    ]
    share = sum(found is not None for found in certified) / 200
    assert share <= 0.05 + 4 * (0.05 * 0.95 / 200) ** 0.5


def test_only_the_order_of_confidence_matters(generator):
    confidence, error = _world(generator, 700)
    found = risk_threshold(confidence, error, 0.05)
    mixed = torch.randperm(700, generator=generator)
    assert found is not None
    assert risk_threshold(confidence[mixed], error[mixed], 0.05) == found
    assert risk_threshold(3 * confidence - 7, error, 0.05) == pytest.approx(3 * found - 7)


@pytest.mark.parametrize("target", [0.01, 0.05, 0.2])
def test_rows_needed_is_the_least_that_can_be_certified(target):
    n = rows_needed(target, certainty=0.9)
    for rows, expected in ((n, -math.inf), (n - 1, None)):
        never = torch.zeros(rows, dtype=torch.bool)
        assert risk_threshold(torch.rand(rows), never, target, certainty=0.9) == expected


def test_counts_by_group():
    accepted = torch.tensor([1, 1, 0, 0, 1, 1, 0]).bool()
    error = torch.tensor([0, 1, 1, 0, 0, 0, 1]).bool()
    groups = torch.tensor([7, 7, 7, -1, -1, 3, 3])
    found = coverage_by_group(accepted, error, groups)
    assert found.group.tolist() == [-1, 3, 7]
    assert found.rows.tolist() == [2, 2, 3]
    assert found.mistakes.tolist() == [0, 1, 2]
    assert found.accepted.tolist() == [1, 1, 2]
    assert found.mistakes_accepted.tolist() == [0, 0, 1]


def test_refuses_what_makes_no_sense():
    never = torch.zeros(3, dtype=torch.bool)
    with pytest.raises(ValueError, match="numbers for confidence, got NaN"):
        risk_threshold(torch.tensor([0.1, torch.nan, 0.2]), never, 0.1)
    for target, certainty in ((0.0, 0.9), (1.0, 0.9), (0.1, 0.0), (0.1, 1.0)):
        with pytest.raises(ValueError, match="target and certainty between 0 and 1"):
            risk_threshold(torch.rand(3), never, target, certainty=certainty)
