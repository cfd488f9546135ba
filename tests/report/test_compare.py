"""Two reports side by side: false alarms, coverage, pairing, and what is not comparable."""

import io
from dataclasses import replace
from itertools import combinations
from math import sqrt

import pytest
import torch
from rich.console import Console
from scipy import stats

from offmap.estimate import difference, exact, mean, replicates
from offmap.reading import Reading
from offmap.report.compare import compare, holm, p_value, paired, render

NAMES = (
    "input_jacobian", "noise_sensitivity", "contamination", "calibration_error",
    "lookup_agreement", "effective_rank", "generalization_gap", "train_neighbor_distance",
)  # fmt: skip


def with_rows(build, report, rows):
    """A report whose readings are the means of the columns."""
    entries = [
        build.entry(name, "test", Reading(mean(column), per_example=column))
        for name, column in zip(NAMES, rows.T, strict=False)
    ]
    return build.only(report, *entries)


def normal(generator, *shape):
    return torch.randn(*shape, dtype=torch.double, generator=generator)


def test_false_alarms_over_all_readings_together_are_one_in_twenty(build, report, generator):
    """Eight paired readings of the same 60 examples, nothing changed: one family of tests."""
    runs, alarms = 400, 0
    for _ in range(runs):
        base = normal(generator, 60, len(NAMES))
        before, after = (base + 0.3 * normal(generator, 60, len(NAMES)) for _ in range(2))
        found = compare(with_rows(build, report, before), with_rows(build, report, after))
        assert all(change.paired for change in found.changes)
        alarms += len(found.having("better", "worse", "changed")) > 0
    truth = 1 - (1 - 0.05 / len(NAMES)) ** len(NAMES)  # independent tests: Holm's first step
    assert abs(alarms / runs - truth) < 4 * sqrt(truth * (1 - truth) / runs)


def test_pairs_find_what_independent_estimates_cannot(build, report, generator):
    base = normal(generator, 400, 1)
    before, after = base, base + 0.1 + 0.3 * normal(generator, 400, 1)
    old, new = with_rows(build, report, before), with_rows(build, report, after)
    change = compare(old, new).changes[0]
    assert change.paired and change.state == "worse"  # input_jacobian: lower is better
    other = replace(new, provenance=replace(new.provenance, fingerprints={"test": "other"}))
    alone = compare(old, other).changes[0]
    assert not alone.paired and alone.state == "no change beyond noise"
    assert alone.difference == difference(
        new.reading(NAMES[0]).estimate, old.reading(NAMES[0]).estimate
    )
    better = compare(new, old).changes[0]
    assert better.state == "better" and better.difference.value == -change.difference.value


def test_interval_of_pairs_covers_the_truth(generator):
    covered = 0
    for _ in range(200):
        base = normal(generator, 30)
        found = paired(base + normal(generator, 30), base + 0.5 + normal(generator, 30))
        covered += found.low <= 0.5 <= found.high
    assert 0.90 <= covered / 200 <= 0.99


@pytest.mark.parametrize(
    ("n", "up", "down"), [(200, 0.10, 0.05), (100, 0.03, 0.03), (60, 0.2, 0.02)]
)
def test_interval_of_paired_shares_covers_the_truth(generator, n, up, down):
    """Each example turns from 0 to 1 with chance `up`, from 1 to 0 with chance `down`."""
    covered = 0
    for _ in range(200):
        draw = torch.rand(n, generator=generator)
        before = ((draw >= up) & (draw < 0.6)).double()
        after = ((draw < up) | ((draw >= up + down) & (draw < 0.6))).double()
        found = paired(before, after)
        assert found.value == pytest.approx((after - before).mean().item())
        covered += found.low <= up - down <= found.high
    assert 0.90 <= covered / 200 <= 0.99


def test_a_few_examples_that_changed_sides_are_no_change():
    """As the exact test of McNemar says: 5 against 0 is not enough, 7 against 0 is."""
    before = torch.zeros(1000, dtype=torch.double)
    for count, significant in ((1, False), (5, False), (7, True), (9, True)):
        after = before.clone()
        after[:count] = 1
        found = paired(before, after)
        assert (found.low > 0) is significant
        assert bool(stats.binomtest(count, count).pvalue < 0.05) is significant
    assert paired(before, before).low < 0 < paired(before, before).high


def test_p_values_are_those_of_the_t_test(generator):
    a, b = normal(generator, 20), normal(generator, 20) + 0.4
    found = paired(a, b)
    assert p_value(found, 20) == pytest.approx(stats.ttest_rel(b, a).pvalue, rel=1e-9)
    touching = replace(found, value=1.0, low=0.0, high=2.0)
    assert p_value(touching, 20) == pytest.approx(0.05)
    assert p_value(replace(found, value=-1.0, low=-1.0, high=-1.0), 1) == 0.0
    assert p_value(replace(found, value=0.0, low=0.0, high=0.0), 1) == 1.0


def test_holm_is_closed_testing_by_bonferroni():
    """Slow twin: the worst Bonferroni p-value over all families that hold the hypothesis."""
    p = [0.04, 0.001, 0.2, 0.03, 0.03, 0.9]

    def slow(i):
        others = [k for k in range(len(p)) if k != i]
        families = [(i, *c) for r in range(len(p)) for c in combinations(others, r)]
        return max(min(1.0, len(f) * min(p[k] for k in f)) for f in families)

    assert holm(p) == pytest.approx([slow(i) for i in range(len(p))])
    assert holm([]) == []


def test_few_seeds_are_judged_by_students_t(build, report):
    """Five seeds against five: what a normal law calls certain, t with four degrees does not."""
    before = build.only(
        report, build.entry("seed_spread", "", Reading(replicates([1.0, 1.1, 0.9, 1.0, 1.05])))
    )
    after = build.only(
        report, build.entry("seed_spread", "", Reading(replicates([1.2, 1.3, 1.1, 1.2, 1.25])))
    )
    change = compare(before, after).changes[0]
    half = change.difference.value - change.difference.low
    t = change.difference.value / half * stats.t.ppf(0.975, 4)
    assert change.p_value == pytest.approx(2 * stats.t.sf(t, 4))
    assert change.p_value > 2 * stats.norm.sf(change.difference.value / half * 1.96)


def test_facts_are_not_tests(build, report):
    """A number without uncertainty changed or it did not, and does not count among the tests."""

    def made(count, rows):
        return build.only(
            report,
            build.entry("overparameterization", "", Reading(exact(count))),
            build.entry("effective_rank", "", Reading(exact(4.0))),
            build.entry("input_jacobian", "test", Reading(mean(rows), per_example=rows)),
        )  # fmt: skip

    rows = torch.linspace(0, 1, 50).double()
    moved = rows + 0.1 * torch.linspace(-1, 1.8, 50).double()
    found = compare(made(0.3, rows), made(0.4, moved))
    assert [c.state for c in found.changes[:2]] == ["changed", "no change beyond noise"]
    assert found.changes[2].p_value == pytest.approx(stats.ttest_rel(moved, rows).pvalue)


def test_directions_follow_the_card(build, report):
    def change(name, before, after):
        old, new = (
            build.only(report, build.entry(name, "test", Reading(exact(v))))
            for v in (before, after)
        )
        return compare(old, new).changes[0].state

    assert change("calibration_error", 0.1, 0.2) == "worse"
    assert change("calibration_error", 0.2, 0.1) == "better"
    assert change("feature_lookup_agreement", 0.2, 0.1) == "worse"
    assert change("effective_rank", 2.0, 3.0) == "changed"


def test_only_means_of_the_rows_are_paired(build, report):
    rows = torch.rand(50).double()
    squared = Reading(replace(mean(rows), value=0.9, low=0.8, high=1.0), per_example=rows)
    one = build.only(report, build.entry("calibration_error", "test", squared))
    assert not compare(one, one).changes[0].paired
    gaps = rows.clone()
    gaps[3] = torch.nan
    entry = build.entry(
        "calibration_error", "test", Reading(mean(gaps[~gaps.isnan()]), per_example=gaps)
    )
    two = build.only(report, entry)
    assert compare(two, two).changes[0].paired
    whole = build.only(
        report, build.entry("calibration_error", "test", Reading(mean(rows), per_example=rows))
    )
    assert not compare(two, whole).changes[0].paired  # answers on different rows


def test_other_settings_are_not_comparable(build, report):
    entry = build.entry("calibration_error", "test", Reading(exact(0.1)))
    other = replace(entry, settings={**entry.settings, "bins": 30})
    change = compare(build.only(report, entry), build.only(report, other)).changes[0]
    assert change.state == "not comparable" and change.difference is None
    assert change.why == "the settings differ (bins 15 -> 30)"
    assert "not comparable: the settings differ" in change.sentence


def test_what_only_one_report_has(build, report):
    old = build.entry("calibration_error", "test", Reading(exact(0.1)))
    new = build.entry("effective_rank", "fog", Reading(exact(0.1)))
    failing = next(e for e in report.entries if e.measure == "noise_sensitivity")
    failing = replace(failing, measure="calibration_error")
    found = compare(build.only(report, old), build.only(report, new, failing))
    assert not found.changes
    lost, gained = found.only_in_one
    assert (lost.measure, lost.present, lost.tried) == ("calibration_error", "before", True)
    assert lost.reason.startswith("RuntimeError")
    assert (gained.measure, gained.split, gained.present, gained.tried) == (
        "effective_rank", "fog", "after", False,
    )  # fmt: skip


def test_shown_and_as_data(build, report):
    moved = build.with_outcome(
        report, "calibration_error", "test", estimate=build.estimate(0.02, 0.01, 0.03, "bootstrap")
    )
    found = compare(report, moved)
    data = found.as_dict()
    assert data["correction"] == "holm"
    entry = next(c for c in data["changes"] if c["measure"] == "calibration_error")
    assert entry["state"] == "better" and entry["difference"]["high"] < 0
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(render(found))
    text = console.export_text()
    lines = [line for line in text.splitlines() if "calibration_error" in line]
    assert "▲ better" in lines[0] and "19.2%" in lines[0] and "2.0%" in lines[0]
    assert "1 better" in text and "Holm" in text
