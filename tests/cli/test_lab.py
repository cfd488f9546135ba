"""`offmap lab`: what it lists, shows and runs, and what it says of bad input."""

import json
import signal
import subprocess
import sys
import time

import pytest

from offmap.cli import main
from offmap.lab.claim import ROOMS, claims

QUICK = "gaussian_hull_growth"


def test_every_claim_is_listed(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    assert main(["lab", "list"]) == 0
    said = capsys.readouterr().out
    for title in ROOMS.values():
        assert f"{title}\n" in said
    for unit in claims().values():
        assert f"  {unit.name}  (" in said
        assert unit.says in said


def test_a_claim_is_shown(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    unit = claims()["barany_furedi_fresh_point"]
    assert main(["lab", "show", unit.name]) == 0
    said = capsys.readouterr().out
    for text in (unit.says, unit.effect, unit.paper.url, claims()[unit.corrected].says):
        assert text in said
    assert "smoke: " in said
    assert "a seed" in said


def test_a_run_leaves_findings_and_a_page(capsys, tmp_path):
    assert main(["lab", "run", QUICK, "--seeds", "2", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("2 trials to take; about ")
    assert "supported" in said
    assert "What holds: " in said
    kept = json.loads((tmp_path / "smoke" / f"{QUICK}.json").read_text())
    assert kept["kind"] == "Finding"
    assert len(kept["trials"]) == 2
    assert (tmp_path / "smoke" / "what_holds.html").stat().st_size < 3_000_000
    assert claims()[QUICK].says in (tmp_path / "smoke" / "what_holds.md").read_text()


def test_one_seed_is_no_verdict_and_it_is_said(capsys, tmp_path):
    assert main(["lab", "run", QUICK, "--seeds", "1", "--out", str(tmp_path)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "no verdict" in said
    assert "no interval and no verdict from 1 seed: give --seeds 2 or more" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run"], "expected names of claims or --all, got none"),
        (["run", QUICK, "--all"], "expected names of claims or --all, got both"),
        (["run", "gaussian_hul"], "did you mean gaussian_hull"),
        (["show", "gaussian_hul"], "did you mean gaussian_hull"),
        (["run", QUICK, "--seeds", "0"], "expected at least one seed, two or more for a verdict"),
        (["run", QUICK, "--scale", "huge"], "expected the scale smoke, desk or full, got 'huge'"),
        (["run", QUICK, "--engine", "moon"], "expected local, ray or ray://host:port, got 'moon'"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(capsys, tmp_path, arguments, said):
    more = ["--out", str(tmp_path)] if arguments[0] == "run" else []
    assert main(["lab", *arguments, *more]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("offmap: ")
    assert said in captured.err
    assert captured.err.count("\n") == 1


def test_a_folder_that_cannot_be_written_is_named(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    assert main(["lab", "run", QUICK, "--out", str(tmp_path / "file" / "out")]) == 2
    assert "give another --out" in capsys.readouterr().err


def test_an_interrupted_run_goes_on_where_it_was(tmp_path):
    """Ctrl-C after the first trial: it is kept, and the same command takes it up."""
    out = tmp_path / "out"
    command = [
        sys.executable, "-m", "offmap", "lab", "run", QUICK, "--seeds", "9999", "--out", str(out)
    ]  # fmt: skip
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    try:
        while not list(out.glob("trials/*.json")):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert said.startswith("interrupted: finished trials are kept in ")
    first = len(list(out.glob("trials/*.json")))
    command[command.index("9999")] = "2"
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    reused = min(first, 2)
    assert f"{reused} of 2 trials were taken from an earlier run" in " ".join(done.stdout.split())
