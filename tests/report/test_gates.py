"""Gates: what is written, what it is held against, and that none passes in silence."""

from dataclasses import replace

import pytest

from offmap.attempt import InputError
from offmap.catalog import measures
from offmap.estimate import exact
from offmap.plan import Plan, Planned
from offmap.reading import Reading
from offmap.report.gates import baseline_gate, evaluate, parse


def gate(expression):
    return parse(expression, measures())


def result(report, expression):
    return evaluate([gate(expression)], report)[0]


@pytest.mark.parametrize(
    ("expression", "parts"),
    [
        ("calibration_error > 0.05", ("calibration_error", "", "", ">", 0.05)),
        ("calibration_error>=5%", ("calibration_error", "", "", ">=", 0.05)),
        ("  accuracy_under_shift@fog <= -1e-1 ", ("accuracy_under_shift", "", "fog", "<=", -0.1)),
        (
            "random_label_fit.largest class < .5",
            ("random_label_fit", "largest class", "", "<", 0.5),
        ),
        (
            "effective_rank.conv.1: stable rank@heavy fog > 3",
            ("effective_rank", "conv.1: stable rank", "heavy fog", ">", 3.0),
        ),
        ("noise_sensitivity@* > 0.1", ("noise_sensitivity", "", "*", ">", 0.1)),
    ],
)
def test_parsing(expression, parts):
    found = gate(expression)
    assert (found.measure, found.part, found.split, found.sign, found.number) == parts
    assert found.expression == expression.strip()


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("calibration_eror > 0.05", "did you mean calibration_error"),
        ("calibration_error", "expected a gate such as"),
        ("calibration_error = 0.05", "expected a gate such as"),
        ("calibration_error > 0.05 > 0.1", "expected a gate such as"),
        ("> 0.05", "expected a gate such as"),
        ("calibration_error > much", "expected a number behind >, got 'much'"),
        ("calibration_error > nan", "expected a number behind >"),
        ("calibration_error > ", "expected a number behind >"),
        ("calibration_error@ > 1", "expected a gate such as"),
    ],
)
def test_bad_expressions_get_a_sentence(expression, message):
    with pytest.raises(InputError, match=message):
        gate(expression)


@pytest.mark.parametrize(
    ("sign", "passed"), [(">", True), (">=", False), ("<", True), ("<=", False)]
)
def test_the_point_value_counts_and_equality_is_exact(build, report, sign, passed):
    reading = Reading(build.estimate(0.25, 0.1, 0.4))
    one = build.only(report, build.entry("calibration_error", "test", reading))
    assert result(one, f"calibration_error {sign} 0.25").passed is passed


def test_sentences_name_the_reading(report):
    failed = result(report, "calibration_error > 0.05")
    assert not failed.passed and failed.value == 0.192
    assert failed.sentence == (
        "gate failed: calibration_error@test is 0.192 [0.171, 0.214], which is > 0.05"
    )
    passed = result(report, "calibration_error > 0.5")
    assert passed.passed and passed.sentence.startswith("gate passed: calibration_error@test")


def test_which_splits_a_gate_is_about(build, report):
    one = build.only(
        report,
        build.entry("calibration_error", "test", Reading(exact(0.01))),
        build.entry("calibration_error", "fog", Reading(exact(0.5))),
        build.entry("accuracy_under_shift", "fog", Reading(exact(0.01))),
        build.entry("accuracy_under_shift", "rain", Reading(exact(0.5))),
    )
    assert result(one, "calibration_error > 0.1").passed  # test alone
    assert not result(one, "calibration_error@fog > 0.1").passed
    assert not result(one, "calibration_error@* > 0.1").passed
    failed = result(one, "accuracy_under_shift > 0.1")  # read on shifts only: all of them
    assert not failed.passed and "@rain" in failed.sentence


def test_parts(report):
    assert result(report, "generalization_gap.error here > 0.03").value == pytest.approx(0.031)
    missing = result(report, "generalization_gap.error her > 0.03")
    assert not missing.passed and "did you mean error here" in missing.sentence


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("worst_group_error > 0.9", "was skipped: split 'test' has no groups"),
        ("noise_sensitivity > 0.9", "failed: RuntimeError"),  # on test; that on fog does not help
        ("feature_lookup_agreement < 0.1", "was not read: it was not among the measures asked for"),
        ("calibration_error@fgo > 0.9", "split with calibration_error, got 'fgo'"),
    ],
)
def test_a_gate_without_a_reading_fails_with_the_reason(report, expression, reason):
    found = result(report, expression)
    assert not found.passed and found.value is None
    assert reason in found.sentence


def test_a_measure_that_was_planned_away_says_why(report):
    left = Planned("feature_lookup_agreement", "memorization", "", "forward", reason="too costly")
    planned = replace(report, plan=Plan((left,)))
    assert result(planned, "feature_lookup_agreement < 0.1").sentence.endswith("too costly")


def test_a_baseline_passes_against_itself_and_fails_when_something_got_worse(build, report):
    assert baseline_gate(report, report).passed
    worse = build.estimate(0.5, 0.45, 0.55, "bootstrap")
    changed = build.with_outcome(report, "calibration_error", "test", estimate=worse)
    failed = baseline_gate(report, changed)
    assert not failed.passed and failed.value == 1.0
    assert "Calibration error on test: 19.2% -> 50%" in failed.sentence
    assert baseline_gate(changed, report).passed  # it got better


def test_a_baseline_gate_does_not_pass_over_what_it_cannot_see(build, report):
    first = build.entry("calibration_error", "test", Reading(exact(0.1)))
    second = build.entry("effective_rank", "test", Reading(exact(5.0)))
    before = build.only(report, first, second)
    failing = next(e for e in report.entries if e.measure == "noise_sensitivity")
    lost = replace(failing, measure="calibration_error")
    assert (
        "could not be read again: RuntimeError"
        in baseline_gate(before, build.only(report, lost, second)).sentence
    )
    unasked = baseline_gate(before, build.only(report, second))
    assert unasked.passed and "1 readings of the baseline were not asked for" in unasked.sentence
    nothing = baseline_gate(before, build.only(report))
    assert not nothing.passed and "nothing was compared" in nothing.sentence
    settings = replace(first, settings={"bins": 3})
    other = baseline_gate(before, build.only(report, settings, second))
    assert not other.passed and "bins 15 -> 3" in other.sentence
