"""Every score that is found keeps every law."""

import subprocess
import sys

import pytest
import torch

from offmap.catalog import scores
from offmap.guard.seeing import Sight, known
from offmap.inputs import head_name
from offmap.score import Score
from offmap.testing import check_onnx, check_score, tiny
from offmap.testing.scores import try_score

# In a process of its own: here every function checks its types, which the compiler cannot read.
COMPILE = """
import torch
from offmap.catalog import scores
from offmap.testing import tiny
from offmap.testing.scores import try_score

compiled = 0
for name, unit in scores().items():
    trial = try_score(unit, tiny.classification())
    if isinstance(trial, str):
        continue
    torch._dynamo.reset()
    fast = torch.compile(trial.fitted, fullgraph=True, backend="eager")
    gap = (fast(trial.seen["test"]) - trial.fitted(trial.seen["test"])).abs().max().item()
    assert gap <= 1e-6 * trial.spread, f"{name}: {gap} apart"
    compiled += 1
print(compiled)
"""


@pytest.mark.parametrize("name", scores())
def test_keeps_the_laws(name):
    check_score(scores()[name])


def test_all_scores_are_the_same_under_onnxruntime():
    check_onnx([*scores().values()])


def test_all_scores_compile_in_one_piece():
    done = subprocess.run(
        [sys.executable, "-c", COMPILE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 9


@pytest.fixture(scope="module")
def facts():
    run = tiny.classification()
    assert run.train is not None
    return known(Sight(run.model, head_name(run), classifies=True), run.train, 2**28)


@pytest.mark.parametrize("name", scores())
def test_an_unknown_setting_is_refused_by_name(name, facts):
    with pytest.raises(ValueError, match=rf"score {name}: expected a setting out of .*'colour'"):
        scores()[name].fitted(facts, generator=torch.Generator(), colour="red")


@pytest.mark.parametrize("name", scores())
def test_what_needs_a_classifier_refuses_a_regression(name):
    unit = scores()[name]
    found = try_score(unit, tiny.regression())
    if "logits" in unit.seen or unit.linear:
        assert isinstance(found, str)
        assert "classif" in found


def test_lie_where_their_names_say():
    assert len(scores()) >= 9
    for name, unit in scores().items():
        assert isinstance(unit, Score)
        assert unit.name == name
        assert unit.function.__module__ == f"offmap.scores.{name}"
    assert scores() is scores()
