"""`offmap plan`, `explain` and `compare`, and what they have in common."""

import json

import pytest

from offmap.catalog import measures, scores
from offmap.measure import QUESTIONS


def test_plan_says_what_runs_at_what_cost_and_why_the_rest_does_not(offmap, flags, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    out = flags().index("--out")
    options = flags(measures="calibration_error,random_label_fit,accuracy_under_shift")
    ran = offmap("plan", *options[1:out], *options[out + 2 :])
    assert ran.code == 0
    will, will_not = ran.out.split("Will not run")
    (row,) = [line for line in will.splitlines() if line.startswith("calibration_error")]
    name, split, cost, *about = row.split()
    assert (name, split, cost) == ("calibration_error", "test", "forward")
    assert about[1] in ("s", "min")
    assert about[-1] in ("KiB", "MiB")
    assert "(forward pass)" in will
    words = {
        line.split()[0]: line.split(maxsplit=2)[2].rstrip()
        for line in will_not.splitlines()
        if "_" in line
    }
    assert words["random_label_fit"] == "the run has no recipe"
    assert words["accuracy_under_shift"].startswith("needs a shift to compare with test")
    assert "1 readings, about " in ran.out


def test_explain_shows_a_card(offmap):
    ran = offmap("explain", "calibration_error")
    unit = measures()["calibration_error"]
    assert ran.code == 0
    text = " ".join(ran.out.split())
    for part in (unit.asks, unit.read, unit.caution, unit.next_step, unit.paper.url):
        assert " ".join(part.split()) in text
    assert "bins = 15" in text
    assert "Needs predictions: " in text
    assert "Cost forward" in text


def test_explain_lists_every_measure_under_its_question(offmap, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    ran = offmap("explain")
    assert ran.code == 0
    heading = None
    found: dict[str, set[str]] = {}
    for line in ran.out.splitlines():
        if line.startswith("  "):
            found.setdefault(heading, set()).add(line.split()[0])
        else:
            heading = line.partition(":")[0]
    assert found.pop("scores of the guard") == set(scores())
    assert found == {
        question: {unit.name for unit in measures().values() if unit.question == question}
        for question in QUESTIONS
    }


def test_explain_shows_a_score_beside_the_measure_of_its_name(offmap):
    for name, kinds in (("energy", 1), ("typicality", 2)):
        ran = offmap("explain", name)
        assert ran.code == 0
        text = " ".join(ran.out.split())
        assert " ".join(scores()[name].caution.split()) in text
        assert text.count("When it misleads") == kinds


@pytest.mark.parametrize(
    "command",
    [["explain", "calibration_eror"], ["plan", "--demo", "digits", "--skip", "calibration_eror"]],
)
def test_unknown_measure_names_the_nearest(offmap, command):
    ran = offmap(*command)
    assert ran.code == 2
    assert ran.out == ""
    said = ", got 'calibration_eror': did you mean calibration_error"
    assert ran.err.startswith("offmap: expected a measure") and said in ran.err


def test_compare_pairs_two_reports(offmap, place, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    for out, shrink in (("a", 1), ("b", 50)):
        options = [
            "--measures",
            "calibration_error,generalization_gap",
            "--threads",
            "1",
            "--quiet",
        ]
        parameters = ["-P", f"shrink={shrink}", "--out", tmp_path / out]
        assert offmap("audit", place / "run.py", *options, *parameters).code == 0
    ran = offmap("compare", tmp_path / "a", tmp_path / "b" / "report.json")
    assert ran.code == 0
    assert "1 worse" in ran.out
    (row,) = [line for line in ran.out.splitlines() if "calibration_error" in line]
    assert "worse" in row

    ran = offmap("compare", tmp_path / "a", tmp_path / "b", "--json")
    said = json.loads(ran.out, parse_constant=pytest.fail)
    states = {change["measure"]: change["state"] for change in said["changes"]}
    assert states["calibration_error"] == "worse"
    assert said["changes"][0]["paired"] in (True, False)


def test_compare_refuses_what_is_no_report(offmap, tmp_path, place):
    (tmp_path / "report.json").write_text('{"kind": "Rep')
    ran = offmap("compare", tmp_path, tmp_path / "no")
    assert ran.code == 2
    assert ran.err.startswith(f"offmap: {tmp_path / 'report.json'}: expected the JSON of a report")
    ran = offmap("compare", place / "nowhere", tmp_path)
    assert ran.code == 2
    assert str(place / "nowhere") in ran.err


def test_usage_errors_are_2(offmap):
    for wrong in (["audit", "--bogus"], ["audit", "--seed", "one"], ["bogus"], ["compare", "a"]):
        ran = offmap(*wrong)
        assert ran.code == 2
        assert ran.out == ""
        assert "Error: " in ran.err


def test_help_is_0(offmap):
    ran = offmap("audit", "--help")
    assert ran.code == 0
    assert "Exit codes" in ran.out
