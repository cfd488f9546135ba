"""An audit that is killed goes on where it was, and says so; nothing stale is reused."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

RUN_FILE = """
import torch
from offmap.demo import digits

def run(shrink: float = 1.0):
    made = digits(epochs=1)
    with torch.no_grad():
        made.model.head.weight.mul_(shrink)
    return made
"""
ENOUGH = 3  # finished readings before the audit is stopped
PATIENCE = 120  # seconds until a test gives up waiting


@pytest.fixture
def run_file(tmp_path: Path) -> Path:
    path = tmp_path / "run.py"
    path.write_text(RUN_FILE)
    return path


def _command(run_file: Path, out: Path, *more: str) -> list[str]:
    only = "calibration_error,input_jacobian,effective_rank,accuracy_under_shift"
    options = ["--out", str(out), "--measures", only, "--threads", "1", *more]
    return [sys.executable, "-m", "offmap", "audit", str(run_file), *options]


def _stopped(command: list[str], out: Path, how: signal.Signals) -> tuple[int, str]:
    """Exit code and last words of an audit that got the signal after some readings."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a shell that runs the tests in the background has made them, and theirs, deaf to it
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + PATIENCE
    while len(list(out.glob("entries/*.safetensors"))) < ENOUGH:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(how)
    said = process.communicate(timeout=PATIENCE)[1]  # it closes the pipes too
    return process.returncode, said


def _finished(command: list[str]) -> dict:
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def _readings(out: Path) -> list[dict]:
    """The readings in the report, without what says when and how fast."""
    entries = json.loads((out / "report.json").read_text())["entries"]
    return [
        {key: entry[key] for key in ("measure", "split", "outcome", "settings")}
        for entry in entries
    ]


def _reused(out: Path) -> int:
    return json.loads((out / "report.json").read_text())["provenance"]["reused"]


def test_killed_audit_goes_on_with_the_same_numbers(run_file: Path, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    _finished(_command(run_file, whole))
    assert _reused(whole) == 0

    _stopped(_command(run_file, broken), broken, signal.SIGKILL)
    assert not (broken / "report.json").exists()
    _finished(_command(run_file, broken))
    assert _reused(broken) >= ENOUGH
    assert _readings(broken) == _readings(whole)
    assert not list(broken.glob("work/*"))

    # other weights: another audit
    _finished(_command(run_file, broken, "-P", "shrink=0.5"))
    assert _reused(broken) == 0
    assert _readings(broken) != _readings(whole)

    # the same again takes everything from before, unless it is told to forget
    _finished(_command(run_file, whole))
    assert _reused(whole) == sum("estimate" in e["outcome"] for e in _readings(whole))
    _finished(_command(run_file, whole, "--fresh"))
    assert _reused(whole) == 0


def test_interrupt_says_how_to_go_on(run_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, said = _stopped(_command(run_file, out), out, signal.SIGINT)
    assert code == 130
    assert "the same command goes on from there" in said
    _finished(_command(run_file, out))
    assert _reused(out) >= ENOUGH
