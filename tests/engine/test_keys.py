"""The key of a task says all that its result depends on, and nothing else."""

import copy
import sys
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional

from offmap.engine.fingerprint import fingerprints, source
from offmap.engine.graph import Builder
from offmap.plan import Selection, choose
from offmap.run import Checkpoint, Domain, Split, TrainingRun
from offmap.survey import examine
from offmap.testing import tiny

CHEAP = (
    "accuracy_under_shift", "calibration_error", "contamination", "distance_error",
    "effective_rank", "example_forgetting", "generalization_gap", "gradient_signal",
    "overparameterization", "random_label_fit", "train_feature_distance", "worst_group_error",
)  # fmt: skip


def keys(run, *, only=CHEAP, seed=0, threads=1, change=None, **selection) -> dict[tuple, str]:
    """The key of each reading, by measure and split."""
    run, seen = examine(run)
    prints = fingerprints(run, seen, threads)
    if change is not None:
        assert change in prints
        prints[change] = "other"
    graph = Builder(run, seed, prints).build(choose(run, Selection(only=only, **selection)))
    return {(c.measure.name, c.split): key for key, c in graph.readings.items()}


def changed(run, **asked) -> set[tuple]:
    """Readings of the classification world whose key differs when it is changed so."""
    before, after = keys(tiny.classification()), keys(run, **asked)
    assert set(before) == set(after)
    return {where for where in before if before[where] != after[where]}


@pytest.fixture(scope="module")
def classes() -> TrainingRun:
    return tiny.classification()


@pytest.fixture(scope="module")
def everything(classes) -> set[tuple]:
    return set(keys(classes))


def moved(split: Split) -> Split:
    """The split with one pixel changed."""
    inputs = split.inputs.clone()
    inputs[3, 0, 2, 2] = 0.51
    return Split(inputs, split.known_targets, groups=split.groups)


# ------------------------------------------------------------------------------------------- keys


def test_the_same_run_has_the_same_keys(classes):
    assert not changed(classes)
    assert not changed(replace(classes, model=copy.deepcopy(classes.model)))


def test_every_reading_has_its_own_key(everything, classes):
    assert len(set(keys(classes).values())) == len(everything) > 20


@pytest.mark.parametrize("asked", [{"seed": 1}, {"threads": 2}, {"change": "code"}])
def test_seed_threads_and_code_are_part_of_every_key(asked, classes, everything):
    assert changed(classes, **asked) == everything


def test_a_weight_is_part_of_every_key(classes, everything):
    model = copy.deepcopy(classes.model)
    with torch.no_grad():
        model[6].bias[3] += 1e-6
    assert changed(replace(classes, model=model)) == everything


def test_a_statistic_of_batch_norm_is_part_of_every_key(classes, everything):
    model = copy.deepcopy(classes.model)
    model[1].running_mean[0] += 1e-6
    assert changed(replace(classes, model=model)) == everything


def test_another_layout_of_the_same_weights_is_another_model(classes, everything):
    model = nn.Sequential(*classes.model[:5], nn.Dropout(0.5), classes.model[6])
    assert changed(replace(classes, model=model)) == everything


def test_an_input_of_test_touches_what_reads_test(classes, everything):
    found = changed(replace(classes, test=moved(classes.test)))
    assert found == {
        (name, split)
        for name, split in everything
        if split == "test" or name in ("accuracy_under_shift", "distance_error")
    }


def test_an_input_of_a_shift_touches_what_reads_that_shift(classes, everything):
    shifts = {**classes.shifts, "moved": moved(classes.shifts["moved"])}
    found = changed(replace(classes, shifts=shifts))
    assert found == {
        (name, split) for name, split in everything if split == "moved" or name == "distance_error"
    }


def test_an_input_of_train_touches_what_reads_train(classes, everything):
    """The model's fingerprint holds its answers to the first rows: so change a later one."""
    inputs = classes.train.inputs.clone()
    inputs[-1, 0, 2, 2] = 0.51
    train = Split(inputs, classes.train.known_targets, groups=classes.train.groups)
    blind = ("accuracy_under_shift", "calibration_error", "effective_rank", "worst_group_error")
    found = changed(replace(classes, train=train))
    assert found == {(name, split) for name, split in everything if name not in blind}


def test_targets_and_groups_are_part_of_their_split(classes, everything):
    of_test = changed(replace(classes, test=moved(classes.test)))
    targets = classes.test.known_targets.clone()
    targets[0] = (targets[0] + 1) % 10
    other = Split(classes.test.table, targets, groups=classes.test.groups)
    assert changed(replace(classes, test=other)) == of_test
    other = Split(classes.test.table, classes.test.known_targets, groups=targets % 2)
    assert changed(replace(classes, test=other)) == of_test


def test_a_setting_touches_its_measure(classes):
    found = changed(classes, settings={"contamination": {"near": 0.2}})
    assert found == {("contamination", split) for split in ("test", "moved", "half")}
    assert not changed(classes, settings={"contamination": {"near": 0.1}})  # the default, said


def test_the_source_of_a_measure_touches_it_alone(classes):
    assert changed(classes, change="measure:contamination") == {
        ("contamination", split) for split in ("test", "moved", "half")
    }


def test_recipe_history_and_checkpoints_touch_what_asks_for_them(classes):
    recipe = replace(classes.recipe, epochs=5)
    assert changed(replace(classes, recipe=recipe)) == {("random_label_fit", "")}
    other = replace(classes.recipe, loss=lambda out, y: 2 * functional.cross_entropy(out, y))
    assert changed(replace(classes, recipe=other)) == {("random_label_fit", "")}
    correct = classes.history.correct.clone()
    correct[0, 0] = ~correct[0, 0]
    found = changed(replace(classes, history=replace(classes.history, correct=correct)))
    assert found == {("example_forgetting", "")}
    losses = replace(classes.history, loss=torch.ones(len(correct)))
    assert changed(replace(classes, history=losses)) == {("example_forgetting", "")}
    first, *rest = classes.checkpoints
    later = [Checkpoint(first.epoch + 1, first.weights), *rest]
    assert not changed(replace(classes, checkpoints=later))  # nothing here asks for them
    prints = [
        fingerprints(*examine(replace(classes, checkpoints=c)), 1)["checkpoints"]
        for c in (classes.checkpoints, later)
    ]
    assert prints[0] != prints[1]


def test_what_was_settled_is_part_of_every_key(classes, everything):
    wide = Domain((1, 8, 8), torch.float32, -1.0, 2.0, "image")
    assert changed(replace(classes, domain=wide)) == everything
    assert changed(replace(classes, feature_layer="0")) == everything


def test_another_measure_changes_no_other_key(classes):
    """Though it may want more of a forward pass: features besides answers."""
    alone = keys(classes, only=["calibration_error", "generalization_gap"])
    together = keys(classes, only=CHEAP)
    assert {where: together[where] for where in alone} == alone


def test_another_shift_changes_no_other_key(classes):
    shifts = {**classes.shifts, "more": moved(classes.test)}
    before, after = keys(classes), keys(replace(classes, shifts=shifts))
    new = {where for where in after if where[1] == "more"}
    assert new == {(name, "more") for name, split in before if split == "moved"}
    differs = {where for where in before if before[where] != after[where]}
    assert differs == {("distance_error", "")}  # it reads all splits together


@pytest.mark.parametrize("name", ["code", "model", "settled", "recipe", "calibration_error"])
def test_no_name_of_a_shift_can_hide_anything(classes, name):
    """A split may be called like a measure, or like another thing that has a fingerprint."""
    plain = replace(classes, shifts={name: classes.shifts["moved"]})
    other = replace(classes, shifts={name: moved(classes.shifts["moved"])})
    before, after = keys(plain), keys(other)
    touched = {where for where in before if before[where] != after[where]}
    assert {where for where in before if where[1] == name} <= touched
    assert ("calibration_error", "test") not in touched


def test_outside_offmap_the_whole_package_of_a_measure_counts(tmp_path, monkeypatch):
    """Its helpers may lie anywhere in it; offmap's own are covered by `code`."""
    folder = tmp_path / "elsewhere" / "geometry"
    folder.mkdir(parents=True)
    (tmp_path / "elsewhere" / "__init__.py").write_text("")
    (folder / "a_measure.py").write_text("")
    (tmp_path / "elsewhere" / "helper.py").write_text("FACTOR = 1")
    monkeypatch.syspath_prepend(str(tmp_path))
    look = source.__wrapped__
    before = look("elsewhere.geometry.a_measure")
    assert look("elsewhere.geometry.a_measure") == before
    (tmp_path / "elsewhere" / "helper.py").write_text("FACTOR = 2")
    assert look("elsewhere.geometry.a_measure") != before
    for name in [name for name in sys.modules if name.startswith("elsewhere")]:
        del sys.modules[name]
    inside = [
        look(f"offmap.measures.geometry.{name}") for name in ("contamination", "nearest_train")
    ]
    assert inside[0] != inside[1]


@pytest.mark.parametrize("library", ["torch", "numpy", "scipy"])
def test_another_version_of_a_library_is_part_of_every_key(
    monkeypatch, classes, everything, library
):
    before = keys(classes)
    monkeypatch.setattr(f"{library}.__version__", "0.0")
    assert {where for where, key in keys(classes).items() if key != before[where]} == everything
