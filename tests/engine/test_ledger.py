"""The books of an audit: what is done once, what is kept, and what is done again."""

from dataclasses import replace

import pytest
import torch

from offmap.audit import Resources, prepare
from offmap.engine.ledger import Ledger
from offmap.engine.local import run_local
from offmap.engine.store import Store
from offmap.engine.work import Context
from offmap.plan import Selection
from offmap.run import TrainingRun
from offmap.testing import tiny


@pytest.fixture(scope="module")
def classes() -> TrainingRun:
    return tiny.classification()


class Watch:
    """Writes down what is done, and what lies in the folder meanwhile."""

    def __init__(self, folder):
        self.folder, self.done, self.reused, self.most = folder, [], 0, 0

    def begin(self, tasks, reused):
        self.reused = reused

    def start(self, task): ...

    def finish(self, task, entry):
        self.done.append((task.kind, task.unit, task.split))
        self.most = max(self.most, len(list((self.folder / "work").iterdir())))


def book(run, folder, only=("calibration_error", "generalization_gap", "train_feature_distance")):
    ready = prepare(run, Selection(only=only), Resources(2**30, 1, 0))
    watch = Watch(folder)
    ledger = Ledger(ready.graph, Store(folder), watch)
    run_local(ledger, Context(ready.run, 0), threads=1)
    return ledger, watch


def test_work_is_dropped_when_the_last_reading_is_done(classes, tmp_path):
    _, watch = book(classes, tmp_path)
    assert watch.most > 3
    assert list((tmp_path / "work").iterdir()) == []


def test_a_pass_is_made_once_for_all_measures(classes, tmp_path):
    _, watch = book(classes, tmp_path)
    passes = [split for kind, _, split in watch.done if kind == "pass"]
    assert sorted(passes) == ["half", "moved", "test", "train"]


def test_what_is_done_is_not_done_again(classes, tmp_path):
    first, _ = book(classes, tmp_path)
    again, watch = book(classes, tmp_path)
    assert watch.done == []
    assert watch.reused == len(first.entries) == 9
    assert all(entry.reused for entry in again.entries.values())


def test_only_what_changed_is_done_again(classes, tmp_path):
    book(classes, tmp_path)
    shifts = {**classes.shifts, "moved": classes.shifts["moved"].take(torch.arange(119))}
    _, watch = book(replace(classes, shifts=shifts), tmp_path)
    assert {split for kind, _, split in watch.done if kind == "reading"} == {"moved"}
    assert {split for kind, _, split in watch.done if kind == "pass"} == {"moved", "train"}


def test_more_measures_do_again_only_themselves(classes, tmp_path):
    book(classes, tmp_path, only=("calibration_error",))
    _, watch = book(classes, tmp_path, only=("calibration_error", "effective_rank"))
    assert {unit for kind, unit, _ in watch.done if kind == "reading"} == {"effective_rank"}
