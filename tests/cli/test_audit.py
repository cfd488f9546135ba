"""`offmap audit`: where runs come from, what the options do, exit codes, what is written where."""

import json
import os
import pty
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from offmap.catalog import offering
from offmap.report.report import Report

EXACT, RANDOM = "generalization_gap", "calibration_error"  # without a generator, and with one


def strict(text: str) -> dict:
    """JSON, and nothing that only Python takes for it."""

    def refuse(constant):
        raise ValueError(f"not JSON: {constant}")

    return json.loads(text, parse_constant=refuse)


def values(out: Path, measure: str) -> list[tuple]:
    report = Report.load(out)
    read = [e for e in report.entries if e.measure == measure and e.reading]
    return [(e.split, e.reading.estimate.value, e.reading.estimate.high) for e in read]


# -------------------------------------------------------------------------- the three places


def test_flags_describe_a_run(offmap, flags, place, tmp_path):
    ran = offmap(
        *flags(
            "--shift", f"fog={place / 'fog.npz'}", "-P", "width=4", "--feature-layer", "5",
            measures="overparameterization,worst_group_error,accuracy_under_shift",
            groups="groups",
        )
    )  # fmt: skip
    assert ran.code == 0
    report = Report.load(tmp_path / "out")
    asked = [(e.measure, e.split) for e in report.entries]
    assert asked == [
        ("overparameterization", ""),
        ("accuracy_under_shift", "fog"),
        ("worst_group_error", "test"),
        ("worst_group_error", "fog"),
    ]
    assert report.provenance.name == "build"
    assert report.provenance.model["feature_layer"] == "5"
    assert report.provenance.splits["fog"]["examples"] == 100
    assert report.provenance.splits["train"]["groups"] == 3
    assert (tmp_path / "out" / "report.html").stat().st_size > 10_000
    assert "Report: " in ran.out
    assert ran.err == ""


def test_run_file_takes_parameters(offmap, place, tmp_path):
    def audited(*more):
        out = tmp_path / "out"
        options = ["--measures", EXACT, "--threads", "1", "--out", out, "--quiet", *more]
        assert offmap("audit", place / "run.py", *options).code == 0
        return Report.load(out).provenance

    plain = audited()
    assert plain.name == "mine"
    shrunk = audited("-P", "shrink=0", "-P", "name=12")
    assert shrunk.name == "12"  # text, for its default is text
    assert shrunk.fingerprints["model"] != plain.fingerprints["model"]
    assert set(audited("-P", "test=False").splits) == {"train"}


def test_demo_is_offline_and_built_in(offmap, tmp_path, monkeypatch):
    from offmap import demo

    monkeypatch.setattr(demo, "digits", lambda seed, real=demo.digits: real(seed=seed, epochs=3))
    options = ["--measures", "overparameterization,example_forgetting", "--threads", "1"]
    ran = offmap("audit", "--demo", "digits", *options, "--out", tmp_path, "--quiet")
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    report = Report.load(tmp_path)
    assert report.provenance.name == "digits"
    assert list(report.provenance.splits)[:2] == ["train", "test"]
    assert len(report.provenance.splits) > 4
    assert all(entry.reading for entry in report.entries)  # its history came with it


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "got none of them"),
        (["--demo", "digits", "--model", "a:b"], "got --demo and --model"),
        (["--demo", "digit"], "expected a demo called digits, got 'digit'"),
        (["--demo", "digits", "-P", "a=1"], "expected no -P with --demo"),
        (["run.py", "--weights", "w.safetensors"], "expected no --weights with a run file"),
        (["run.py", "--shift", "fog=fog.npz"], "expected no --shift with a run file"),
        (["--model", "a:b", "--shift", "fog"], "expected --shift NAME=PATH, got 'fog'"),
        (["--model", "a:b", "--shift", "fog="], "got no path for 'fog'"),
        (["--model", "a:b", "--shift", "test=a.npz"], "it is reserved"),
        (["--model", "a:b", "--shift", "f=a", "--shift", "f=b"], "expected f once, got it twice"),
    ],
)
def test_options_that_do_not_go_together(offmap, tmp_path, arguments, says):
    ran = offmap("audit", *arguments, "--out", tmp_path)
    assert ran.code == 2
    assert ran.err.startswith("offmap: ")
    assert says in ran.err
    assert ran.err.count("\n") == 1


# -------------------------------------------------------------------------- exit codes and gates


def test_gates_decide_between_0_and_1(offmap, flags, tmp_path):
    good, bad = "overparameterization < -100", "overparameterization > -100"
    junit = tmp_path / "made" / "junit.xml"
    ran = offmap(*flags("--fail-on", good, "--junit", junit))
    assert ran.code == 0
    assert "gate passed: overparameterization is" in ran.out
    assert [s.get("failures") for s in ET.parse(junit).getroot()] == ["0", "0"]

    ran = offmap(*flags("--fail-on", good, "--fail-on", bad, "--junit", junit, "--quiet"))
    assert (ran.code, ran.out, ran.err) == (1, "", "")
    gates, readings = ET.parse(junit).getroot()
    assert [gate.get("name") for gate in gates] == [good, bad]
    assert [gate.find("failure") is not None for gate in gates] == [False, True]
    assert [case.get("name") for case in readings] == ["overparameterization"]


def test_baseline_fails_when_it_got_worse(offmap, place, tmp_path):
    def audit(out, *more):
        options = ["--measures", RANDOM, "--threads", "1", "--out", tmp_path / out, *more]
        return offmap("audit", place / "run.py", *options)

    assert audit("old").code == 0
    same = audit("same", "--baseline", tmp_path / "old" / "report.json")
    assert same.code == 0
    assert "none got worse beyond noise" in same.out
    worse = audit("new", "--baseline", tmp_path / "old", "-P", "shrink=50")
    assert worse.code == 1
    assert "gate failed" in worse.out


BROKEN = """
from offmap.measure import Cost, Paper, measure
from offmap.reading import Reading
from offmap.run import Split


@measure(
    asks="Does it break?", unit="number", span=(0.0, 1.0), better="neither", cost=Cost.WEIGHTS,
    read="It breaks.", caution="It breaks.", next_step="Mend it.",
    paper=Paper("Nobody", "https://example.org"),
)
def broken(split: Split) -> Reading:
    raise RuntimeError("the toy is broken")
"""


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """A measure of another package that raises."""
    room = tmp_path / "toy_broken" / "geometry"
    room.mkdir(parents=True)
    (room / "broken.py").write_text(BROKEN)
    monkeypatch.syspath_prepend(tmp_path)
    from importlib import import_module

    unit = import_module("toy_broken.geometry.broken").broken
    yield unit
    for name in [name for name in sys.modules if name.startswith("toy_broken")]:
        del sys.modules[name]


def test_a_measure_that_fails_is_3_and_the_report_is_whole(offmap, flags, broken, tmp_path):
    with offering(broken):
        ran = offmap(*flags("--junit", tmp_path / "j.xml", measures="overparameterization,broken"))
        assert ran.code == 3
        assert "broken on test: failed: RuntimeError: the toy is broken" in ran.out
        report = Report.load(tmp_path / "out")
        assert report.reading("overparameterization") is not None
        (entry,) = report.failed
        assert 'raise RuntimeError("the toy is broken")' in entry.outcome.traceback
        errors = [suite.get("errors") for suite in ET.parse(tmp_path / "j.xml").getroot()]
        assert errors == ["0", "1"]
        gate = ["--fail-on", "broken > 0"]
        assert offmap(*flags(*gate, measures="broken")).code == 1  # a failed gate says more


# ------------------------------------------------------------------------------- what is printed


def test_json_is_all_that_is_on_stdout(offmap, place, tmp_path):
    options = ["--json", "--measures", f"{EXACT},{RANDOM}", "--threads", "1", "--out", tmp_path]
    ran = offmap("audit", place / "run.py", *options, "--fail-on", f"{RANDOM} > 2")
    assert ran.code == 0
    said = strict(ran.out)
    assert {reading["measure"] for reading in said["readings"]} == {EXACT, RANDOM}
    assert said["gates"][0]["passed"] is True
    assert said["report"] == str(tmp_path / "report.html")
    assert "the run file talks" in ran.err
    assert "readings to take" in ran.err
    assert "gate passed" in ran.err


def test_lines_say_what_is_done_and_what_is_left(offmap, flags):
    ran = offmap(*flags(measures=f"{EXACT},{RANDOM}"))
    lines = ran.out.splitlines()
    assert lines[0].startswith("2 readings to take; about ")
    assert lines[1].startswith(f"{RANDOM} on test: ")
    assert lines[2].startswith(f"{EXACT} on test: ")
    assert lines[2].endswith("(0 s left)")
    again = offmap(*flags(measures=f"{EXACT},{RANDOM}"))
    assert again.out.startswith("0 readings to take, 2 taken from an earlier run")


def test_quiet_prints_nothing(offmap, flags):
    ran = offmap(*flags("--quiet"))
    assert (ran.code, ran.out, ran.err) == (0, "", "")


def test_terminal_shows_a_bar_with_the_time_left(flags):
    """`python -m offmap`, at a terminal of its own."""
    arguments = [str(word) for word in flags(measures=f"{EXACT},{RANDOM}")]
    child, terminal = pty.fork()
    if child == 0:
        os.environ |= {"TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
        os.execv(sys.executable, [sys.executable, "-m", "offmap", *arguments])
    shown = b""
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # Linux says so when the other side has closed
            break
        if not piece:
            break
        shown += piece
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    text = shown.decode()
    assert "━" in text  # the bar
    assert f"{EXACT} on test" in text
    assert "100 %" in text
    assert " 0 s left" in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h")  # the cursor is back


# ------------------------------------------------------------------------------- what is read


def test_cost_names_and_skips_choose_the_measures(offmap, flags, tmp_path):
    out = tmp_path / "out"
    assert (
        offmap(*flags("--max-cost", "weights", measures=f"overparameterization,{EXACT}")).code == 0
    )
    report = Report.load(out)
    assert [entry.measure for entry in report.entries if entry.reading] == ["overparameterization"]
    assert report.skipped[0].outcome.reason == "costs forward, more than the weights allowed"

    assert offmap(*flags("--skip", EXACT, measures=f"overparameterization, {EXACT}")).code == 0
    assert [entry.measure for entry in Report.load(out).entries] == ["overparameterization"]


def test_settings_are_bound_and_stored(offmap, flags, tmp_path):
    more = ["--set", "noise_sensitivity.levels=(0.1, 1)", "--set", "calibration_error.bins=5",
            "--set", "contamination.near=0"]  # fmt: skip
    names = "noise_sensitivity,calibration_error,contamination"
    assert offmap(*flags(*more, measures=names)).code == 0
    report = Report.load(tmp_path / "out")
    bound = {entry.measure: entry.settings for entry in report.entries}
    assert bound["noise_sensitivity"]["levels"] == (0.1, 1)
    assert bound["calibration_error"] == {"bins": 5, "draws": 400}
    assert bound["contamination"]["near"] == 0.0
    assert isinstance(bound["contamination"]["near"], float)
    given = {"levels": "(0.1, 1)"}
    assert report.provenance.settings["noise_sensitivity"] == given


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("calibration_error.bins=many", "calibration_error.bins: expected a value like 15 (int)"),
        ("calibration_error.bins=1.5", "expected a value like 15 (int), got 1.5"),
        (
            "calibration_error.bin=3",
            "expected a setting of calibration_error, got 'bin': did you mean bins?",
        ),
        ("calibrate.bins=3", "did you mean calibration_error"),
        ("bins=3", "expected --set MEASURE.SETTING=VALUE, got bins=3"),
        ("calibration_error.bins", "expected --set MEASURE.SETTING=VALUE"),
    ],
)
def test_wrong_settings(offmap, flags, setting, says):
    ran = offmap(*flags("--set", setting))
    assert ran.code == 2
    assert says in ran.err


def test_seed_moves_random_numbers_only(offmap, flags, tmp_path):
    found = {}
    for seed in (0, 1):
        out = tmp_path / f"seed{seed}"
        options = flags("--seed", seed, "--quiet", measures=f"{EXACT},{RANDOM}", out=out)
        assert offmap(*options).code == 0
        found[seed] = {name: values(out, name) for name in (EXACT, RANDOM)}
        assert Report.load(out).provenance.seed == seed
    assert found[0][EXACT] == found[1][EXACT]
    assert found[0][RANDOM] != found[1][RANDOM]


def test_threads_and_memory_are_kept_to_and_reported(offmap, flags, tmp_path):
    import torch

    before = torch.get_num_threads()
    assert offmap(*flags("--memory", "64MiB", "--quiet", threads=2)).code == 0
    kept = Report.load(tmp_path / "out").provenance
    assert (kept.threads, kept.memory) == (2, 64 * 2**20)
    assert torch.get_num_threads() == before


def test_fresh_forgets(offmap, flags, tmp_path):
    def reused(*more):
        assert offmap(*flags("--quiet", *more)).code == 0
        return Report.load(tmp_path / "out").provenance.reused

    assert [reused(), reused(), reused("--fresh")] == [0, 1, 0]
