"""The time left is that of the steps left, by what such steps took."""

import pytest

from offmap.guard.progress import Agenda, Stage


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets."""
    now = [0.0]
    monkeypatch.setattr("offmap.guard.progress.perf_counter", lambda: now[0])
    return now


def test_time_left_is_the_mean_of_each_kind_times_what_is_left(clock):
    stages: list[Stage] = []
    agenda = Agenda(stages.append)
    agenda.expect({"fit": 3, "epoch": 4})
    for seconds in (2.0, 4.0):
        with agenda.step("fit"):
            clock[0] += seconds
    assert stages[0] == Stage("fit", 0, 7, 0.0, True)
    assert stages[-1] == Stage("fit", 2, 7, 3.0, True)
    clock[0] += 10
    agenda.tick("epoch")
    assert stages[-1] == Stage("epoch", 3, 7, 3.0 + 3 * 10.0, False)
    agenda.skip({"epoch": 3})
    assert agenda.stage("fit") == Stage("fit", 3, 4, 3.0, False)


def test_more_steps_than_were_expected_are_no_harm(clock):
    agenda = Agenda()
    with agenda.step("fit"):
        clock[0] += 1
    assert agenda.stage("fit") == Stage("fit", 1, 1, 0.0, False)
