import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from scipy import integrate

from offmap.numerics.conformal import levels
from offmap.numerics.martingale import BETS, CAP, RESERVE, Wealth, alarmed, updated

RISK = 0.05  # of an unlucky calibration set, and again of luck in the stream


def _uniform(generator: torch.Generator, *shape: int) -> torch.Tensor:
    return torch.rand(*shape, dtype=torch.double, generator=generator)


def _slow(p: list[float]) -> tuple[list[float], list[float]]:
    """Wealth after each p-value and the last stakes, by the recursion and without logarithms."""

    def reserve(time: int) -> float:
        return 1 / (2 + math.log(1 + time))

    stakes, path = [0.5] * len(BETS), []
    for time, value in enumerate(p, 1):
        for number, (below, share) in enumerate(BETS):
            gain = 1 - share + 2 * share * max(0, 1 - value / below) / below
            stakes[number] = gain * stakes[number] + reserve(time - 1) - reserve(time)
        path.append(sum(stakes) / len(stakes) + reserve(time))
    return path, stakes


def _judged(generator: torch.Generator, scores: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
    """p-values of scores beside a calibration set of their own, whose scores are uniform."""
    calibration = _uniform(generator, len(level) - 1).sort().values
    return level[len(calibration) - torch.searchsorted(calibration, scores)]


def _paths(p: torch.Tensor) -> np.ndarray:
    """Log of the wealth after each p-value of many streams [r n] at once.

    With F_t the product of f so far, A_t = F_t (A_0 + the sum of what is added at j over F_j): one
    cumulative sum in logarithms for each bet.
    """
    values, time = p.numpy()[:, None], np.arange(1.0, p.shape[1] + 1)
    reserve = 1 / (RESERVE + np.log1p(np.arange(p.shape[1] + 1)))
    below, share = np.array(BETS).T[:, :, None]
    gain = np.log1p(share * (2 * np.maximum(1 - values / below, 0) / below - 1)).cumsum(axis=-1)
    added = np.log(np.log1p(1 / time) * reserve[1:] * reserve[:-1])
    first = np.full_like(gain[..., :1], math.log(1 - reserve[0]))
    stake = np.concatenate((first, added - gain), axis=-1)
    stake = np.logaddexp.accumulate(stake, axis=-1)[..., 1:] + gain
    return np.logaddexp(
        np.log(reserve[1:]), np.logaddexp.reduce(stake, axis=1) - math.log(len(BETS))
    )


def _peaks(p: torch.Tensor) -> np.ndarray:
    return np.concatenate([_paths(part).max(axis=1) for part in p.split(16)])


def test_bets_are_fair_and_never_rise():
    for below, share in BETS:

        def gain(p, below=below, share=share):
            return 1 - share + 2 * share * max(0.0, 1 - p / below) / below

        assert integrate.quad(gain, 0, 1, points=[below])[0] == pytest.approx(1, abs=1e-9)
        assert (np.diff([gain(p) for p in np.linspace(0, 1, 101)]) <= 0).all()
        assert gain(1.0) > 0


def test_wealth_follows_the_recursion(generator):
    p = _uniform(generator, 300) ** 1.5
    p[100], p[200] = 0.0, 1.0
    path, stakes = _slow(p.tolist())
    assert np.exp(_paths(p[None])[0]).tolist() == pytest.approx(path, rel=1e-9)
    state = updated(Wealth(), p.tolist())
    assert state.count == 300
    assert [math.exp(stake) for stake in state.stakes] == pytest.approx(stakes, rel=1e-9)
    assert state.now == pytest.approx(math.log(path[-1]), rel=1e-9)
    assert state.peak == pytest.approx(math.log(max(path)), rel=1e-9)
    assert path[state.peak_at - 1] == max(path)


def test_batches_do_not_matter_and_the_state_survives_json(generator):
    p = _uniform(generator, 500) ** 1.2
    whole, state = updated(Wealth(), p.tolist()), Wealth()
    for batch in p.split([0, 1, 1, 200, 0, 7, 291]):
        kept = json.loads(
            json.dumps(dataclasses.asdict(updated(state, batch.tolist())), allow_nan=False)
        )
        state = Wealth(**kept | {"stakes": tuple(kept["stakes"])})
    assert (state.count, state.peak_at) == (whole.count, whole.peak_at)
    assert state.stakes == pytest.approx(whole.stakes, rel=1e-12)
    assert (state.now, state.peak) == pytest.approx((whole.now, whole.peak), rel=1e-12)


def test_wealth_starts_at_one_and_has_mean_one_on_uniform_p_values():
    generator = torch.Generator().manual_seed(1)
    assert _slow([])[1] == pytest.approx(np.exp(Wealth().stakes).tolist())
    wealth = np.exp(_paths(_uniform(generator, 50_000, 4)))
    slack = 4 * wealth.std(axis=0) / 50_000**0.5
    assert (np.abs(wealth.mean(axis=0) - 1) <= slack).all()


def test_uniform_p_values_reach_one_over_risk_with_at_most_that_chance():
    """Ville: 1,000 streams of 2,000; not idly, for a large part of the chance is used."""
    generator = torch.Generator().manual_seed(2)
    reached = (_peaks(_uniform(generator, 1000, 2000)) >= -math.log(RISK)).mean()
    assert reached <= RISK + 4 * (RISK * (1 - RISK) / 1000) ** 0.5
    assert reached > RISK / 5


def test_false_alarms_of_a_long_stream_beside_a_fixed_calibration_set():
    """Both risks together bound the chance; with marginal p-values there is no bound."""
    generator, rates = torch.Generator().manual_seed(3), {}
    for name, sets, level in (
        ("conditional", 1000, levels(200, confidence=1 - RISK, simultaneous=True)),
        ("marginal", 200, levels(200)),
    ):
        streams = _uniform(generator, sets, 10_000)
        p = torch.stack([_judged(generator, scores, level) for scores in streams])
        rates[name] = (_peaks(p) >= -math.log(RISK)).mean()
    assert rates["conditional"] <= 2 * RISK + 4 * (2 * RISK * (1 - 2 * RISK) / 1000) ** 0.5
    assert rates["marginal"] > 2 * RISK + 0.1


@pytest.mark.parametrize(
    ("strange", "most"),
    [
        (lambda u, _: 1 - u * 1e-9, 15),  # everything is farther out than all calibration scores
        (lambda u, v: torch.where(v < 0.2, 1.0, u), 120),  # one in five is
        (lambda u, _: u**0.5, 200),  # all are a little stranger
    ],
)
def test_finds_gross_and_mild_drift_after_a_quiet_day(generator, strange, most):
    first, delays = 5000, []
    for _ in range(20):
        scores = _uniform(generator, first + 1500)
        late = strange(scores[first:], _uniform(generator, 1500))
        scores = torch.cat((scores[:first], late))
        p = _judged(generator, scores, levels(2000, confidence=0.99, simultaneous=True))
        over = np.flatnonzero(_paths(p[None])[0] >= math.log(100))
        delays.append(over[0] + 1 - first if len(over) else 10_000)
    assert min(delays) > 0
    assert np.median(delays) <= most


def test_starting_late_costs_the_logarithm_of_the_time():
    """The same drift after 100 and after 100,000 quiet p-values; a single stake would be lost."""
    delays = []
    for quiet in (100, 100_000):
        state = updated(Wealth(), [0.9] * quiet)
        assert not alarmed(state, 0.01)
        while not alarmed(state, 0.01):
            state = updated(state, [0.05])
        delays.append(state.count - quiet)
    assert delays[0] < delays[1] < 3 * delays[0]


def test_alarm_stays(generator):
    state = updated(Wealth(), [0.001] * 30)
    assert alarmed(state, 0.001)
    later = updated(state, (0.5 + 0.5 * _uniform(generator, 5000)).tolist())
    assert later.now < 0
    assert alarmed(later, 0.001)
    assert (later.peak, later.peak_at) == (state.peak, 30)
    assert updated(later, []) == later


def test_wealth_has_a_limit_and_falls_from_it():
    """However long everything is strange; a state from before there was a limit included."""
    for state in (Wealth(), Wealth(10, (2000.0,) * len(BETS), 2000.0, 2000.0, 10)):
        high = updated(state, [0.0] * 500)
        assert max(high.stakes) == pytest.approx(math.log(CAP))
        assert high.now == pytest.approx(math.log(CAP), rel=0.01)
        assert high.peak == max(high.now, state.peak)
        low = updated(high, [1.0] * 100)
        assert low.now < high.now and low.peak == high.peak and low.peak_at == high.peak_at


def test_refuses_what_makes_no_sense():
    for bad in (torch.nan, -0.1, 1.1):
        with pytest.raises(ValueError, match=r"expected p-values in \[0, 1\]"):
            updated(Wealth(), [0.5, bad])
    with pytest.raises(ValueError, match="expected 8 stakes, got 1"):
        updated(Wealth(stakes=(0.0,)), [1.0])
    with pytest.raises(ValueError, match="0 < risk < 1, got 0"):
        alarmed(Wealth(), 0.0)
