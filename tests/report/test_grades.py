"""Verdicts and next steps: the rules, their order, and that they fit the measures."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import offmap.measures
from offmap.catalog import measures
from offmap.estimate import exact
from offmap.figures import Gallery
from offmap.reading import Failed, Reading, Skipped
from offmap.report.grades import (
    GRADED,
    LINES,
    WHY,
    Line,
    check_of,
    next_steps,
    verdicts,
)  # fmt: skip

LOW = Line("calibration_error", 0.05, 0.15, "Error of {split} here")  # lower is better
HIGH = Line("distance_error", 0.7, 0.55, "Chance")  # higher is better
ALL = [line for lines in LINES.values() for line in lines]


@pytest.mark.parametrize(
    ("line", "low", "high", "state"),
    [
        (LOW, 0.01, 0.05, "holds"),  # the good end itself is good
        (LOW, 0.01, 0.051, "partly"),  # the interval straddles the good end
        (LOW, 0.06, 0.14, "partly"),
        (LOW, 0.15, 0.40, "partly"),  # the bad end itself is not beyond it
        (LOW, 0.14, 0.40, "partly"),  # most of it is beyond, but not all
        (LOW, 0.151, 0.40, "does not hold"),
        (HIGH, 0.70, 0.9, "holds"),
        (HIGH, 0.69, 0.9, "partly"),
        (HIGH, 0.40, 0.55, "partly"),
        (HIGH, 0.40, 0.549, "does not hold"),
    ],
)
def test_the_whole_interval_decides(build, line, low, high, state):
    assert line.judge(build.estimate((low + high) / 2, low, high)) == state


def test_excess_counts_from_the_end_nearer_to_the_good_side(build):
    assert LOW.excess(build.estimate(0.2, 0.1, 0.3)) == pytest.approx(0.5)
    assert HIGH.excess(build.estimate(0.5, 0.4, 0.625)) == pytest.approx(0.5)
    assert LOW.excess(build.estimate(0.2, 0.04, 0.3)) < 0


def test_the_rule_is_said_in_words_with_the_values(build, report):
    assert LOW.rule(percent=True) == "holds at 5% or less, does not hold above 15%"
    assert HIGH.rule(percent=False) == "holds at 0.7 or more, does not hold below 0.55"
    verdict = verdicts(report)[2]
    check = next(c for c in verdict.checks if c.line.measure == "calibration_error")
    assert check.sentence == "Distance of confidence from accuracy on test: 19.2% [17.1%, 21.4%]"
    assert check.rule == "holds at 5% or less, does not hold above 15%"


def test_verdicts_of_the_hand_made_report(report):
    found = {verdict.question: verdict for verdict in verdicts(report)}
    assert tuple(found) == GRADED
    assert found["expressivity"].state == "holds"
    assert found["expressivity"].missing == ("Random label fit: the run has no recipe",)
    assert found["weak_generalization"].state == "does not hold"  # one reading is enough
    assert any(
        "Noise sensitivity: failed (RuntimeError" in m for m in found["weak_generalization"].missing
    )
    assert found["strong_generalization"].asks == "Does it hold far from its data?"


def test_good_neutral_and_bad_are_told_apart(build, report):
    states = []
    for value, half in ((0.01, 0.005), (0.1, 0.02), (0.4, 0.02)):
        reading = Reading(build.estimate(value, value - half, value + half))
        one = build.only(report, build.entry("calibration_error", "test", reading))
        states.append(verdicts(one)[2].state)
    assert states == ["holds", "partly", "does not hold"]


def test_a_question_without_readings_is_not_measured(build, report):
    entries = (
        build.entry("calibration_error", "test", Skipped("no probabilities")),
        build.entry("noise_sensitivity", "test", Failed("ValueError: x", "traceback")),
    )
    verdict = verdicts(build.only(report, *entries))[2]
    assert verdict.state == "not measured" and not verdict.checks
    assert verdict.missing == (
        "Generalization gap: it was not asked for",
        "Calibration error: no probabilities",
        "Noise sensitivity: failed (ValueError: x)",
    )


def test_of_several_shifts_the_worst_counts_and_test_is_left_out(build, report):
    def lost(split, value):
        reading = Reading(build.estimate(value, value - 0.01, value + 0.01))
        return build.entry("accuracy_under_shift", split, reading)

    one = build.only(report, lost("fog", 0.03), lost("rain", 0.12), lost("snow", 0.02))
    verdict = verdicts(one)[3]
    assert [(c.split, c.state) for c in verdict.checks] == [("rain", "partly")]
    gap = build.entry("generalization_gap", "fog", Reading(exact(0.5)))
    assert verdicts(build.only(report, gap))[2].state == "not measured"  # its line is about test
    farther = [
        build.entry("distance_error", split, Reading(build.estimate(v, v - 0.01, v + 0.01)))
        for split, v in (("a", 0.9), ("b", 0.6))
    ]
    assert verdicts(build.only(report, *farther))[3].checks[0].split == "b"  # higher is better


def test_squared_errors_are_not_held_against_shares(build, report):
    reading = Reading(
        exact(123.0), parts={"error here / error on train": build.estimate(1.2, 1.1, 1.3)}
    )
    entry = build.entry("generalization_gap", "test", reading)
    shares = build.only(report, entry)
    reals = replace(shares, provenance=replace(report.provenance, task="regression"))
    assert verdicts(shares)[2].state == "does not hold"
    assert verdicts(reals)[2].state == "holds"
    assert verdicts(reals)[2].checks[0].subject == "Error on test over error on train"


def test_a_relative_line_divides_by_the_null(build, report):
    reading = Reading(build.estimate(3.0, 2.8, 3.2), null=exact(8.0))
    one = build.only(report, build.entry("input_jacobian", "test", reading))
    check = check_of(one, one.entries[0])
    assert check.estimate.value == pytest.approx(0.375) and check.state == "holds"
    bare = build.only(report, build.entry("input_jacobian", "test", Reading(exact(3.0))))
    assert check_of(bare, bare.entries[0]) is None


def test_next_steps_are_ordered_and_name_their_readings(build, report):
    steps = next_steps(report)
    assert [step.card.name for step in steps] == [
        "accuracy_under_shift", "calibration_error", "contamination",
    ]  # fmt: skip
    assert [step.effect for step in steps] == sorted((s.effect for s in steps), reverse=True)
    assert steps[0].effect == pytest.approx((0.28 - 0.05) / 0.15)
    assert [check.split for check in steps[0].checks] == ["fog"]  # the other shift is within noise
    assert steps[1].card.next_step == measures()["calibration_error"].next_step


def test_next_steps_gather_the_splits_of_a_measure_worst_first(build, report):
    def far(split, value):
        reading = Reading(build.estimate(value, value - 0.01, value + 0.01))
        return build.entry("train_neighbor_distance", split, reading)

    steps = next_steps(build.only(report, far("test", 0.2), far("fog", 0.9), far("rain", 0.06)))
    assert len(steps) == 1
    assert [check.split for check in steps[0].checks] == ["fog", "test"]


def test_next_steps_point_at_the_rows_that_the_readings_show(build, report):
    def far(split, value, *rows):
        shown = torch.tensor([[row, 0] for row in rows], dtype=torch.long).view(-1, 2)
        figures = tuple(Gallery("far", (split, "train"), part, ()) for part in shown.split(30))
        reading = Reading(build.estimate(value, value - 0.01, value + 0.01), figures=figures)
        return build.entry("train_neighbor_distance", split, reading)

    made = build.only(report, far("fog", 0.9, 8, 2, 8), far("test", 0.2, *range(50)), far("x", 0))
    (step,) = next_steps(made)
    assert step.rows == {"fog": (8, 2), "test": tuple(range(40))}  # x is not past its line
    assert next_steps(build.only(report, far("fog", 0.9)))[0].rows == {}


def test_a_straddling_interval_calls_for_nothing(build, report):
    reading = Reading(build.estimate(0.9, 0.04, 1.0))
    assert next_steps(build.only(report, build.entry("calibration_error", "test", reading))) == ()


@pytest.mark.parametrize("line", ALL, ids=lambda line: f"{line.measure}.{line.part}")
def test_lines_fit_the_measures(line):
    """The names exist, the direction is the measure's own, and there is room between the ends."""
    card = measures()[line.measure].card
    assert line.good != line.bad
    assert line in LINES[card.question]
    if not line.part and card.better != "neither":
        assert (card.better == "higher") == (line.sign > 0)
    if not line.part and not line.relative:
        assert card.span[0] <= min(line.good, line.bad) <= max(line.good, line.bad) <= card.span[1]
    folder = Path(offmap.measures.__path__[0]) / card.question
    written = "".join(path.read_text() for path in folder.glob("*.py"))
    assert f'"{line.part}"' in written or not line.part


def test_every_question_is_graded_or_explains():
    assert set(LINES) == {*GRADED, *WHY}
    assert all(LINES[question] for question in GRADED)
