"""What fitting promises is kept, and what cannot be fitted is refused in one sentence."""

import math
from functools import partial
from typing import Any

import pytest
import torch
from scipy import stats
from torch import nn

from offmap.attempt import InputError
from offmap.guard.fit import fit_guard
from offmap.numerics.conformal import needed
from offmap.run import Domain, Split
from offmap.table import Table

from . import worlds

fit = partial(fit_guard, worlds.network(), score="energy", alpha=0.1)


# ---- the promise


def test_false_alarms_follow_the_promise_over_many_calibrations(generator):
    """The rate is known exactly for each guard; its law is Beta."""
    train = worlds.drawn(60, generator)
    guards = [fit(train, worlds.drawn(100, generator)) for _ in range(100)]
    rates = torch.tensor([worlds.strange(guard) for guard in guards])
    promise = guards[0].promise
    assert promise.n == 100
    error = rates.std() / math.sqrt(len(rates))
    assert rates.mean() <= 0.1 + 4 * error
    assert abs(rates.mean() - promise.value) < 4 * error
    outside = int(((rates < promise.low) | (rates > promise.high)).sum())
    assert outside / 100 < 0.05 + 4 * math.sqrt(0.05 * 0.95 / 100)


def test_with_confidence_the_rate_holds_for_each_calibration_set(generator):
    train = worlds.drawn(60, generator)
    plain, sure = [], []
    for _ in range(60):
        calibration = worlds.drawn(150, generator)
        plain.append(worlds.strange(fit(train, calibration)) > 0.1)
        sure.append(worlds.strange(fit(train, calibration, confidence=0.9)) > 0.1)
    assert sum(sure) / 60 <= 0.1 + 4 * math.sqrt(0.09 / 60)
    assert sum(plain) > 15  # without it, about every second set has bad luck


def test_per_class_the_rate_holds_in_each_class(generator):
    train = worlds.drawn(60, generator)
    rates = []
    for _ in range(50):
        guard = fit(train, worlds.drawn(240, generator), per_class=True)
        assert guard.facts.per_class
        rates.append([2 * stats.norm.cdf(c) - 1 for c in worlds.narrowest(guard)])
    rates = torch.tensor(rates)  # [50, 2], of all inputs of that class
    assert (rates.mean(dim=0) <= 0.1 + 4 * rates.std(dim=0) / math.sqrt(50)).all()
    assert (rates.mean(dim=0) > 0.06).all()


def test_accepted_answers_err_less_than_the_risk(generator):
    train = worlds.drawn(60, generator)
    broken, made = 0, 0
    for _ in range(60):
        try:
            guard = fit(train, worlds.drawn(500, generator), risk=0.15)
        except InputError as error:
            assert "allow more risk" in str(error)
            continue
        made += 1
        broken += worlds.risk(guard) > 0.15
        share: Any = guard.facts.accepted_risk
        assert share.low == 0 <= share.value <= share.high == 0.15
    assert made > 30
    assert broken <= 60 * (0.05 + 4 * math.sqrt(0.05 * 0.95 / 60))
    assert 0.19 < worlds.risk(fit(train, worlds.drawn(500, generator))) < 0.24  # without it


def test_disputes_raise_false_alarms_at_their_rate(generator):
    """Refused on fresh data by the neighbors' p-value alone, whatever else is said."""
    train, fresh = worlds.drawn(300, generator), worlds.drawn(4000, generator).inputs
    rates = []
    for _ in range(20):
        guard: Any = fit(train, worlds.drawn(200, generator), disputed=0.2)
        _, shared = guard.dispute(guard.sight(fresh), None)
        rates.append((shared <= 0.2).double().mean().item())
    rates = torch.tensor(rates)
    assert rates.mean() <= 0.2 + 4 * rates.std() / math.sqrt(20)
    assert rates.mean() > 0.1


def test_an_ensemble_keeps_the_rate_too(generator):
    train, fresh = worlds.drawn(100, generator), worlds.drawn(4000, generator).inputs
    rates = []
    for _ in range(20):
        guard = fit(train, worlds.drawn(200, generator), score=("energy", "mahalanobis"))
        assert guard.facts.counts["reference"] == 40
        assert guard.facts.counts["calibration"] == 160
        rates.append((guard(fresh).reason == 2).double().mean().item())
    rates = torch.tensor(rates)
    assert rates.mean() <= 0.1 + 4 * rates.std() / math.sqrt(20)
    assert rates.mean() > 0.06


def test_says_how_far_it_has_come(generator):
    stages = []
    fit(
        worlds.drawn(60, generator), worlds.drawn(200, generator), disputed=0.2,
        score=("energy", "mahalanobis"), watch=stages.append,
    )  # fmt: skip
    kinds = list(dict.fromkeys(stage.what for stage in stages))
    assert kinds == ["data", "features", "energy", "mahalanobis", "neighbor_disagreement",
                     "thresholds", "examples"]  # fmt: skip
    assert [stage.total for stage in stages] == [7] * len(stages)
    assert stages[-1].done == 7 and stages[-1].seconds_left == 0


# ---- what it leaves alone


def test_the_same_seed_makes_the_same_guard(digits_run, calibration_digits, fresh_digits):
    def made(seed):
        torch.rand(3)  # the global state is no source of anything
        return fit_guard(
            digits_run.model, digits_run.train, calibration_digits, alpha=0.1, seed=seed,
            score=("energy", "input_neighbors"), domain=digits_run.domain, disputed=0.1,
        )  # fmt: skip

    one, two, other = made(0), made(0), made(1)
    assert one.facts == two.facts
    state = two.state_dict()
    assert all(torch.equal(part, state[name]) for name, part in one.state_dict().items())
    verdicts = [guard(fresh_digits.inputs) for guard in (one, two, other)]
    assert torch.equal(verdicts[0].p_value, verdicts[1].p_value)
    assert not torch.equal(verdicts[0].p_value, verdicts[2].p_value)


def test_model_modes_gradients_and_random_state_stay(digits_run, calibration_digits):
    model = nn.Sequential(digits_run.model, nn.Dropout(0.5), nn.BatchNorm1d(10), nn.Linear(10, 10))
    model.train()
    model[2].eval()
    model[3].weight.grad = torch.ones(10, 10)
    model[3].bias.requires_grad_(False)
    before = {name: part.clone() for name, part in model.state_dict().items()}
    modes = [part.training for part in model.modules()]
    state = torch.get_rng_state()
    guard = fit_guard(model, digits_run.train, calibration_digits, domain=digits_run.domain)
    guard.answer(calibration_digits.inputs[:3])
    assert all(torch.equal(part, before[name]) for name, part in model.state_dict().items())
    assert [part.training for part in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(model[3].weight.grad, torch.ones(10, 10))
    assert model[2].weight.grad is None
    assert [weight.requires_grad for weight in model[3].parameters()] == [True, False]
    assert torch.is_grad_enabled()


class _Watched(Table):
    """Images that are made when they are read, and the most that were asked for at once."""

    shape, dtype = (1, 64, 64), torch.float32

    def __init__(self, count, seed):
        self.count, self.seed, self.most = count, seed, 0

    def __len__(self):
        return self.count

    def take(self, rows):
        self.most = max(self.most, len(rows))
        wave = torch.arange(4096.0) + self.seed
        return (rows[:, None] * 0.37 + wave).sin().view(-1, *self.shape)


def test_data_larger_than_memory_is_streamed():
    """16 MiB may be held; the rows take 80 MiB, and are read in chunks of 40 MiB at most."""
    table, few = _Watched(5000, 0.0), _Watched(300, 0.1)
    train = Split(table, torch.arange(5000) % 3, memory=2**24)
    model = nn.Sequential(nn.Flatten(), nn.Linear(4096, 8), nn.Linear(8, 3))
    guard = fit_guard(model, train, Split(few), score="feature_neighbors", memory=2**24)
    assert table.most <= 2560
    assert guard.facts.counts["train"] == guard.facts.counts["atlas"] == 5000
    assert guard.atlas.pictures.shape == (5000, 1, 64, 64)
    assert guard.answer(few.take(torch.arange(2)))[0].neighbors
    small = fit_guard(model, train, Split(few), score="energy", memory=2**18)
    assert small.facts.counts["atlas"] == 2**18 // (8 * 4 * 8)


# ---- bad input


def test_calibration_that_overlaps_training_is_refused(generator):
    train = worlds.drawn(60, generator)
    calibration = worlds.drawn(100, generator)
    calibration.inputs[[7, 30]] = train.inputs[[1, 2]]
    with pytest.raises(InputError, match=r"training has not seen, got 2 of 100 .* first at row 7"):
        fit(train, calibration)


@pytest.mark.parametrize("confidence", [None, 0.95])
def test_too_little_calibration_is_refused_with_the_number(confidence, generator):
    least = needed(0.05, confidence=confidence)
    train = worlds.drawn(60, generator)
    with pytest.raises(
        InputError, match=rf"calibration: expected at least {least} examples .*, got {least - 1}:"
    ):
        fit(train, worlds.drawn(least - 1, generator), alpha=0.05, confidence=confidence)
    guard = fit(train, worlds.drawn(least, generator), alpha=0.05, confidence=confidence)
    far = guard.ruler.position.max() + 1
    assert guard.ruler.level.min() <= 0.05
    assert far.isfinite()


def test_a_class_without_calibration_is_refused_by_name(generator):
    one_sided = Split(worlds.drawn(100, generator).inputs.abs())
    with pytest.raises(InputError, match=r"the network calls class 1 .*, got 0: give more"):
        fit(worlds.drawn(60, generator), one_sided, per_class=True)


def test_scores_that_are_all_equal_are_refused(generator):
    same = Split(torch.tensor([[1.0], [-1.0]]).repeat(50, 1))
    with pytest.raises(InputError, match=r"scores that differ, got -1\.\d+ for each of 100"):
        fit(worlds.drawn(60, generator), same)


class _Torn(nn.Module):
    """Features that are not finite where the input is large, behind finite answers."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(1, 2)

    def forward(self, inputs):
        broken = torch.where(inputs > 2, torch.full_like(inputs, torch.nan), inputs)
        return self.head(broken).nan_to_num(0.0)


def test_features_that_are_not_finite_are_refused(generator):
    train = Split(torch.linspace(-1.9, 4, 60)[:, None], torch.arange(60) % 2)
    calibration = Split(torch.linspace(-1.813, 1.807, 100)[:, None])
    with pytest.raises(InputError, match=r"train: expected finite features .* 'head', .* row 40"):
        fit_guard(_Torn(), train, calibration, score="mahalanobis")
    narrow = Split(torch.linspace(-1.9, 1.9, 60)[:, None], torch.arange(60) % 2)
    with pytest.raises(InputError, match=r"expected finite scores, got nan at example 100 of"):
        fit_guard(
            _Torn(), narrow, Split(torch.cat([calibration.inputs, torch.tensor([[3.0]])])),
            score="mahalanobis",
        )  # fmt: skip
    guard = fit_guard(_Torn(), narrow, calibration, score="mahalanobis")
    verdict = guard(torch.tensor([[0.0], [3.0]]))  # such an input is the strangest there is
    assert verdict.reason.tolist() == [0, 2]
    assert verdict.p_value[1].item() == pytest.approx(1 / 101)


@pytest.mark.parametrize("name", ["alpha", "confidence", "risk", "disputed"])
@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, 1.5, math.nan])
def test_rates_outside_zero_and_one_are_refused(name, value, generator):
    with pytest.raises(InputError, match=rf"expected {name} between 0 and 1, got"):
        fit(worlds.drawn(60, generator), worlds.drawn(100, generator), **{name: value})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"score": "enregy"}, "did you mean energy"),
        ({"score": ()}, "at least one score"),
        ({"settings": {"energy": {"colour": 1}}}, "expected a setting"),
        ({"domain": Domain((1,), torch.float64)}, "float64, got torch.float32"),
        ({"domain": Domain((1,), torch.float32, -0.5, 0.5)}, r"expected inputs in \[-0.5, 0.5\]"),
        ({"domain": Domain((2,), torch.float32)}, r"shape \(2,\), got \(1,\)"),
        ({"feature_layer": "neck"}, "expected a layer of the model, got 'neck'"),
    ],
)
def test_what_cannot_be_used_is_refused(given, said, generator):
    with pytest.raises(InputError, match=said):
        fit(worlds.drawn(60, generator), worlds.drawn(100, generator), **given)


def test_calibration_of_another_type_is_refused(generator):
    other = Split(worlds.drawn(100, generator).inputs.double())
    with pytest.raises(InputError, match=r"calibration: expected .*float32, got torch.float64"):
        fit(worlds.drawn(60, generator), other)


def test_a_risk_that_nothing_can_keep_is_refused(generator):
    with pytest.raises(InputError, match=r"at most 1e-05 % of cases .* allow more risk"):
        fit(worlds.drawn(60, generator), worlds.drawn(200, generator), risk=1e-7)


def test_a_risk_needs_labels(generator):
    with pytest.raises(InputError, match=r"calibration: expected targets, which risk needs"):
        fit(worlds.drawn(60, generator), Split(worlds.drawn(100, generator).inputs), risk=0.1)


@pytest.mark.parametrize("what", ["risk", "disputed", "per_class"])
def test_a_regression_has_no_classes_to_ask_about(what, generator):
    inputs = torch.randn(200, 3, generator=generator)
    splits = Split(inputs[:80], inputs[:80, :1]), Split(inputs[80:], inputs[80:, :1])
    asked: dict[str, Any] = {what: True if what == "per_class" else 0.1}
    with pytest.raises(InputError, match=rf"expected no {what} with regression"):
        fit_guard(nn.Linear(3, 1), *splits, score="mahalanobis", **asked)
