"""The stream alarm: silent on familiar traffic, awake when traffic leaves the map."""

import math

import numpy as np
import pytest
import torch

from offmap.guard.stream import State, StreamAlarm, _count
from offmap.numerics.conformal import grouped_knots, knots, levels
from offmap.numerics.corners import p_value

RISK = 0.1


def alarm_of(scores, confidence=None, group=None, groups=3):
    """The alarm of a guard with these calibration scores, and the guard's own p-values."""
    if group is None:
        found = knots(scores, confidence=confidence)
        position, level = found.position[None], found.level[None]
    else:
        position, level = grouped_knots(scores, group, groups, confidence=confidence)
    alarm = StreamAlarm.of(level, confidence, RISK)
    return alarm, lambda s, g=None: p_value(s, position, level, g)


def test_calibration_counts_are_read_off_the_levels():
    for count in (1, 19, 1000, 60_000):
        for confidence in (None, 0.95):
            assert _count(levels(count, confidence=confidence)[0].item(), confidence) == count


@pytest.mark.parametrize("confidence", [None, 0.95])
@pytest.mark.parametrize("ties", [False, True])
def test_strict_p_values_are_those_of_the_calibration_scores(generator, confidence, ties):
    """At least the level of the exact rank, and no more than one rank above it."""
    scores = torch.randn(300, generator=generator, dtype=torch.double)
    new = torch.randn(500, generator=generator, dtype=torch.double)
    if ties:
        scores, new = scores.round(decimals=1), new.round(decimals=1)
    alarm, p = alarm_of(scores, confidence)
    strict = torch.tensor(alarm.strict(p(new)), dtype=torch.double)
    exact = levels(300, confidence=1 - RISK / 2, simultaneous=True)
    rank = (scores[:, None] >= new).sum(dim=0)  # calibration scores as large
    assert bool((strict >= exact[rank] - 1e-9).all())
    if not ties:
        above = exact[(rank + 2).clamp(max=300)]
        dense = (new > scores.quantile(0.05)) & (new < scores.quantile(0.95))
        assert bool((strict <= above + 0.05)[dense].all())
    assert strict.min() > 0 and strict.max() <= 1
    order = p(new).argsort()
    assert bool((strict[order].diff() >= 0).all())


def test_false_alarms_over_calibration_sets_and_time(generator):
    """400 calibration sets, each with its own stream of 3,000 familiar inputs."""
    alarms = 0
    for _ in range(400):
        alarm, p = alarm_of(torch.randn(100, generator=generator))
        alarm.update(p(torch.randn(3000, generator=generator)))
        alarms += alarm.on
    assert alarms <= 400 * RISK + 4 * math.sqrt(400 * RISK * (1 - RISK))


def test_plain_p_values_would_raise_false_alarms(generator):
    """Why the stricter ones: with the guard's own the calibration set's luck adds up."""
    alarms = {"strict": 0, "plain": 0}
    for _ in range(60):
        scores = torch.randn(50, generator=generator)
        for name in alarms:
            alarm, p = alarm_of(scores)
            if name == "plain":
                given = levels(50)
                alarm = StreamAlarm([(given, given)], RISK)
            alarm.update(p(torch.randn(20_000, generator=generator)))
            alarms[name] += alarm.on
    assert alarms["strict"] <= 60 * RISK + 4 * math.sqrt(60 * RISK * (1 - RISK))
    assert alarms["plain"] > 20


@pytest.mark.parametrize("groups", [None, 3])
def test_drift_is_found(generator, groups):
    def draw(n):
        group = torch.randint(3, (n,), generator=generator)
        return torch.randn(n, generator=generator) + (group if groups else 0), group

    scores, group = draw(3000)
    alarm, p = alarm_of(scores, group=group if groups else None)
    new, kind = draw(2000)
    alarm.update(p(new, kind if groups else None), kind)
    assert not alarm.on
    new, kind = draw(1000)
    alarm.update(p(new + 1, kind if groups else None), kind)
    assert alarm.on and "left the map" in alarm.sentence
    new, kind = draw(3000)
    alarm.update(p(new, kind if groups else None), kind)
    assert alarm.on  # it stays on, however the traffic goes on


def test_batches_make_no_difference(generator):
    alarm, p = alarm_of(torch.randn(200, generator=generator))
    other, _ = alarm_of(torch.randn(200, generator=generator))
    values = p(torch.randn(100, generator=generator) + 0.5)
    alarm.update(values)
    for part in values.split(7):
        other.update(part)
    assert other.count == alarm.count == 100
    assert other.log_wealth == pytest.approx(alarm.log_wealth, rel=1e-9)


def test_the_map_is_straight_between_levels(generator):
    """numpy as the oracle; by group, and for lists as for tensors."""
    given = [levels(count, confidence=0.9) for count in (30, 70)]
    strict = [levels(count, confidence=0.99, simultaneous=True) for count in (30, 70)]
    alarm = StreamAlarm(list(zip(given, strict, strict=True)), RISK)
    p = torch.cat((torch.rand(200, generator=generator).double(), *given, torch.tensor([0.0, 1.0])))
    group = torch.randint(2, (len(p),), generator=generator)
    found = alarm.strict(p, group)
    assert alarm.strict(p.tolist(), group.tolist()) == found
    for g in range(2):
        mine = [value for value, which in zip(found, group, strict=True) if which == g]
        expected = np.interp(p[group == g].numpy(), given[g].numpy(), strict[g].numpy())
        assert mine == pytest.approx(expected.tolist(), abs=1e-15)
    for bad in (-0.1, 1.1, torch.nan):
        with pytest.raises(ValueError, match=r"expected p-values in \[0, 1\]"):
            alarm.strict([0.5, bad])


def test_the_state_goes_through_json(generator):
    alarm, p = alarm_of(torch.randn(200, generator=generator))
    alarm.update(p(torch.randn(100, generator=generator) + 2))
    alarm.reset()
    alarm.update(p(torch.randn(50, generator=generator)))
    other = StreamAlarm([(levels(200), levels(200))], RISK)
    other.restore(alarm.text())
    assert other.state == alarm.state and other.state.starts == 2
    assert other.false_alarm == pytest.approx(RISK * 1.5)
    for broken in ("", "{}", "[1]", '{"format": 2}', alarm.text().replace("1", "NaN"),
                   alarm.text().replace("stakes", "other")):  # fmt: skip
        with pytest.raises((ValueError, KeyError)):
            other.restore(broken)
    assert other.state == alarm.state


def test_a_start_forgets_and_costs(generator):
    alarm, p = alarm_of(torch.randn(500, generator=generator))
    alarm.update(p(torch.full((500,), 5.0)))
    assert alarm.on and alarm.threshold == pytest.approx(math.log(2 / RISK))
    assert alarm.log_wealth > alarm.threshold
    alarm.reset()
    assert not alarm.on and alarm.state == State(starts=2)


def test_a_risk_that_is_none():
    for risk in (0.0, 1.0, -1.0):
        with pytest.raises(ValueError, match="risk"):
            StreamAlarm([(levels(5), levels(5))], risk)
