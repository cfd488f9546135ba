import math
from statistics import NormalDist

import pytest
import torch
from scipy import optimize, stats

from offmap.attempt import CannotMeasure
from offmap.figures import Curve
from offmap.inputs import ClassPredictions
from offmap.measures.strong_generalization.selective_disparity import selective_disparity

PHI = NormalDist().cdf


def _predictions(margin: torch.Tensor) -> ClassPredictions:
    """Two classes, target 1: right where the margin is positive, as sure as it is large."""
    logits = torch.stack([torch.zeros_like(margin), 2 * margin], dim=1)
    return ClassPredictions(logits, torch.ones(len(margin), dtype=torch.long))


def _grid(mean: float, n: int) -> torch.Tensor:
    """The normal law of this mean, as n equally likely values."""
    return mean + math.sqrt(2) * torch.erfinv(2 * (torch.arange(n).double() + 0.5) / n - 1)


def _accuracy(mean: float, tau: float) -> float:
    """Of the answers given at threshold tau when margins are N(mean, 1) (Jones et al. 2020)."""
    hits, mistakes = 1 - PHI(tau - mean), PHI(-tau - mean)
    return hits / (hits + mistakes)


def _coverage(mean: float, tau: float) -> float:
    return 1 - PHI(tau - mean) + PHI(-tau - mean)


def _two(generator: torch.Generator, n: int, first: float, second: float):
    groups = torch.arange(2 * n) % 2
    means = torch.tensor([first, second], dtype=torch.double)[groups]
    noise = torch.randn(2 * n, dtype=torch.double, generator=generator)
    return _predictions(means + noise), groups


def test_the_numbers_of_the_theory():
    """Below one half, accuracy falls as the threshold rises; above, it rises; at it, nothing."""
    found = [[round(_accuracy(mean, tau), 3) for tau in (0, 0.5, 1, 2)] for mean in (-0.5, 0.5)]
    assert found == [[0.309, 0.241, 0.178, 0.085], [0.691, 0.759, 0.822, 0.915]]
    assert _accuracy(0.0, 1.3) == pytest.approx(0.5)


@pytest.mark.parametrize("tau", [0.5, 1.0, 2.0])
def test_gaussian_margins_in_closed_form(generator, tau):
    n = 4000
    groups = torch.arange(2).repeat_interleave(n)
    margin = torch.cat((_grid(0.5, n), _grid(-0.5, n)))  # group 1 is the worse
    coverage = (_coverage(0.5, tau) + _coverage(-0.5, tau)) / 2
    reading = selective_disparity(
        _predictions(margin), groups, coverage=coverage, generator=generator, draws=20
    )
    for group, mean in enumerate((0.5, -0.5)):
        error = 1 - _accuracy(mean, tau)
        assert reading.parts[f"group {group}: error of answers given"].value == pytest.approx(
            error, abs=2e-3
        )
        share = reading.parts[f"group {group}: share answered"].value
        assert share == pytest.approx(_coverage(mean, tau), abs=2e-3)
    assert reading.value == pytest.approx(_accuracy(-0.5, 0) - _accuracy(-0.5, tau), abs=2e-3)
    assert reading.value > 0
    assert reading.null is not None  # both groups together: as many hits as mistakes, no change
    assert reading.null.value == pytest.approx(0, abs=2e-3)
    assert reading.per_example is not None
    assert reading.per_example[groups == 1].unique().item() == pytest.approx(reading.value)
    assert reading.per_example[groups == 0].unique().item() == pytest.approx(
        -reading.value, abs=4e-3
    )


def test_by_hand(generator):
    """Ten in each group; eight in ten are answered."""
    groups = torch.tensor([4] * 10 + [9] * 10)
    margin = torch.tensor(
        [9, 8, 7, 6, 5, 4, 3, -0.1, -0.2, 2, 9, 8, 7, 6, -5, -4, -3, -0.3, -0.4, 1]
    ).double()  # fmt: skip
    reading = selective_disparity(_predictions(margin), groups, generator=generator)
    assert reading.parts["group 9: error, all answered"].value == pytest.approx(0.5)
    assert reading.value == pytest.approx(3 / 8 - 5 / 10)
    assert reading.parts["group 4: error of answers given"].value == 0
    hits, mistakes = 13 / 13, 3 / 7  # shares answered, of both groups together
    assert reading.null is not None
    assert reading.null.value == pytest.approx(
        0.5 * mistakes / (0.5 * mistakes + 0.5 * hits) - 0.5, abs=1e-12
    )
    assert reading.parts["all groups: share answered"].value == pytest.approx(0.8)
    assert reading.notes[0] == (
        "Answering the surest 80 % takes the error of group 9, the worst, from 0.5 to 0.375, and "
        "that of all groups together from 0.35 to 0.188."
    )
    assert len(reading.notes) == 2
    accuracy, served = reading.figures
    assert isinstance(accuracy, Curve)
    assert isinstance(served, Curve)
    at = int((accuracy.x - 0.8).abs().argmin())
    assert accuracy.series["group 9"][at] == pytest.approx(5 / 8)
    low, high = stats.binomtest(5, 8).proportion_ci()
    assert accuracy.low["group 9"][at].item() == pytest.approx(low, abs=1e-6)
    assert accuracy.high["group 9"][at].item() == pytest.approx(high, abs=1e-6)
    blind = accuracy.series["group 9, refusals blind to groups"]
    assert 1 - blind[at] == pytest.approx(0.5 + reading.null.value)
    assert served.series["group 4"][at] == pytest.approx(0.8)
    assert accuracy.series["group 9"][0] == 1.0  # the surest two: one of each group


def test_interval_covers_the_truth():
    """The worst group gains less than refusals blind to groups would give it."""
    coverage = 0.7

    def excess(tau: float) -> float:
        return (_coverage(0.3, tau) + _coverage(1.2, tau)) / 2 - coverage

    tau = optimize.root_scalar(excess, bracket=(0, 3)).root
    truth = _accuracy(0.3, 0) - _accuracy(0.3, tau)
    hits, mistakes = (
        (f(0.3) + f(1.2)) / (g(0.3) + g(1.2))
        for f, g in (
            (lambda m: 1 - PHI(tau - m), lambda m: PHI(m)),
            (lambda m: PHI(-tau - m), lambda m: PHI(-m)),
        )
    )
    error = PHI(-0.3)
    blind = error * mistakes / (error * mistakes + (1 - error) * hits) - error
    assert blind < truth < 0
    generator, covered, null = torch.Generator().manual_seed(1), 0, 0
    for _ in range(200):
        found = selective_disparity(
            *_two(generator, 300, 0.3, 1.2), coverage=coverage, draws=40, generator=generator
        )
        assert found.null is not None
        covered += found.low <= truth <= found.high
        null += found.null.low <= blind <= found.null.high
    assert 0.90 <= covered / 200 <= 0.99
    assert 0.90 <= null / 200 <= 0.99


def test_orders_help_nothing_and_harm(generator):
    helped, same, harmed = (
        selective_disparity(*_two(generator, 3000, mean, 2.0), generator=generator)
        for mean in (1.0, 0.0, -1.0)
    )
    assert helped.high < same.low < 0.02
    assert same.low < 0 < same.high
    assert same.high < harmed.low
    assert harmed.null is not None
    assert harmed.null.high < harmed.low
    assert harmed.notes[2] == "Abstaining raises the error of answers given in groups 0."


def test_groups_that_mean_nothing_agree_with_the_null(generator):
    predictions, _ = _two(generator, 3000, 1.0, 1.0)
    groups = torch.randint(3, (6000,), generator=generator)
    reading = selective_disparity(predictions, groups, generator=generator)
    assert reading.null is not None
    assert reading.high < 0
    assert reading.low < reading.null.value < reading.high


def test_small_groups_are_left_out(generator):
    predictions, groups = _two(generator, 50, 0.0, 1.0)
    groups[:9] = 7
    reading = selective_disparity(predictions, groups, generator=generator)
    assert reading.per_example is not None
    assert reading.per_example.isnan().tolist() == [True] * 9 + [False] * 91
    assert not any("group 7" in name for name in reading.parts)
    assert reading.parts["all groups: error, all answered"].n == 91


def test_order_of_examples_names_of_groups_and_a_shift_of_logits_do_not_matter(generator):
    predictions, groups = _two(generator, 200, 0.2, 1.0)
    order = torch.randperm(400, generator=generator)
    mixed = ClassPredictions(predictions.logits[order] + 5, predictions.targets[order])
    one, other = (
        selective_disparity(*given, draws=20, generator=torch.Generator().manual_seed(0))
        for given in ((predictions, groups), (mixed, 100 - 7 * groups[order]))
    )
    assert one.value == pytest.approx(other.value, abs=1e-12)
    assert one.null is not None
    assert other.null is not None
    assert one.null.value == pytest.approx(other.null.value, abs=1e-12)


def test_sure_answers_are_told_apart_though_their_softmax_is_one(generator):
    """Margins of 50 and more: probabilities are all 1, their odds are not."""
    margin = torch.cat((50 + torch.arange(20.0), -50 - torch.arange(20.0))).double()
    groups = torch.arange(40) % 2
    reading = selective_disparity(_predictions(margin), groups, coverage=0.5, generator=generator)
    assert reading.parts["all groups: share answered"].value == pytest.approx(0.5)


def test_refuses(generator):
    predictions, groups = _two(generator, 50, 0.0, 1.0)
    with pytest.raises(CannotMeasure, match="two groups of at least 10 examples, got 1"):
        selective_disparity(predictions, torch.zeros_like(groups), generator=generator)
    for margin, count in ((torch.ones(100), "0 mistakes of 100"), (-torch.ones(100), "100 mis")):
        with pytest.raises(CannotMeasure, match=f"both hits and mistakes, got {count}"):
            selective_disparity(_predictions(margin), groups, generator=generator)
    margin = torch.where(groups == 0, -0.1, 3.0) * torch.linspace(1, 2, 100)
    with pytest.raises(CannotMeasure, match=r"group 0, the worst, gets no answer at coverage 0\.4"):
        selective_disparity(_predictions(margin), groups, coverage=0.4, generator=generator)
    for settings in ({"coverage": 0.0}, {"coverage": 1.0}, {"smallest": 0}):
        with pytest.raises(ValueError, match="expected 0 < coverage < 1 <= smallest"):
            selective_disparity(predictions, groups, generator=generator, **settings)
