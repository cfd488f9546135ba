"""The summary for people and the one for machines."""

import io
import json
from pathlib import Path

from rich.console import Console

from offmap.report.grades import verdicts
from offmap.report.terminal import render, summary


def shown(report, width=120, page=None):
    console = Console(width=width, record=True, file=io.StringIO(), force_terminal=True)
    console.print(render(report, page))
    return console.export_text(clear=False), console.export_text(styles=True)


def test_it_shows_verdicts_rules_readings_steps_and_the_place_of_the_report(report):
    text, _ = shown(report, page=Path("out") / "report.html")
    for verdict in verdicts(report):
        assert f"{verdict.state}  {verdict.asks}" in text
    assert "Distance of confidence from accuracy on test: 19.2% [17.1%, 21.4%]" in text
    assert "(holds at 5% or less, does not hold above 15%)" in text
    assert "What to do next" in text and "1. If much is lost" in text
    assert "because Error on fog minus error on test: 0.310 [0.280, 0.340]" in text
    assert "failed: noise_sensitivity@test: RuntimeError" in text
    assert "4 readings were skipped" in text
    assert text.rstrip().endswith("Report: out/report.html")
    rows = [line for line in text.splitlines() if line.startswith("calibration_error")]
    assert len(rows) == 1 and "0.8%" in rows[0] and "probability" in rows[0]


def test_names_are_neither_markup_nor_codes(build, report):
    _, styled = shown(build.report(name="[bold]x[/bold]"))
    assert "[bold]x[/bold]" in styled
    assert "alert('<b>x</b>')" in styled
    codes = styled.count("\x1b[31m日")
    assert "日本 \x1b[31m" not in styled and codes == 0
    assert "日本 \N{REPLACEMENT CHARACTER}[31m" in styled


def test_it_fits_a_narrow_terminal(report):
    text, _ = shown(report, width=60)
    assert max(len(line) for line in text.splitlines()) <= 60


def test_the_summary_is_plain_data(report):
    found = json.loads(json.dumps(summary(report), allow_nan=False))
    assert [v["state"] for v in found["verdicts"]] == [v.state for v in verdicts(report)]
    assert len(found["readings"]) == sum(e.reading is not None for e in report.entries)
    reading = next(r for r in found["readings"] if r["measure"] == "calibration_error")
    assert reading == {
        "measure": "calibration_error", "split": "test", "value": 0.192, "low": 0.171,
        "high": 0.214, "method": "bootstrap", "n": 20_000, "null": 0.008,
    }  # fmt: skip
    assert found["next_steps"][0]["measure"] == "accuracy_under_shift"
    assert found["skipped"][0] == {
        "measure": "random_label_fit", "split": "", "reason": "the run has no recipe",
    }  # fmt: skip
    assert found["failed"][0]["error"].startswith("RuntimeError")
