"""The tasks of an audit: keys that say all that a result depends on, and what performing gives."""

import copy
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from offmap.attempt import InputError
from offmap.audit import Resources, audit, prepare
from offmap.catalog import offering
from offmap.engine.fingerprint import fingerprints
from offmap.engine.graph import Builder, Task
from offmap.engine.ledger import Ledger
from offmap.engine.local import run_local
from offmap.engine.store import Store
from offmap.engine.survey import examine
from offmap.engine.work import Context, perform
from offmap.inputs import VOCABULARY, Layers, TokenPredictions
from offmap.numerics.neighbors import search
from offmap.passes import evaluating
from offmap.plan import Selection, choose
from offmap.reading import Reading, Skipped
from offmap.run import Checkpoint, Domain, Split, TrainingRun
from offmap.table import Table, TensorTable
from offmap.testing import worlds

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
    before, after = keys(worlds()["classification"]), keys(run, **asked)
    assert set(before) == set(after)
    return {where for where in before if before[where] != after[where]}


@pytest.fixture(scope="module")
def classes() -> TrainingRun:
    return worlds()["classification"]


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


def test_tasks_come_after_what_they_need(classes):
    ready = prepare(classes, Selection(only=CHEAP), Resources(2**30, 1, 0))
    done = set()
    for task in ready.graph.tasks:
        assert set(task.needs) <= done
        done.add(task.key)
    assert set(ready.graph.readings) <= done


# -------------------------------------------------------------------------------------- performing


class Memory(Mapping):
    """Finished work in memory, by key."""

    def __init__(self) -> None:
        self.kept = {}

    def __getitem__(self, key: str) -> Mapping[str, Table]:
        return {name: TensorTable(value) for name, value in self.kept[key].items()}

    def __iter__(self):
        return iter(self.kept)

    def __len__(self) -> int:
        return len(self.kept)


def performed(run: TrainingRun, only, seed=0) -> dict[Task, object]:
    """Every task of an audit with its result, one after another, nothing on disk."""
    ready = prepare(run, Selection(only=only), Resources(2**30, 1, seed))
    results, found = Memory(), {}
    for task in ready.graph.tasks:
        found[task] = perform(task, Context(ready.run, seed), results)
        if isinstance(found[task], dict):
            results.kept[task.key] = found[task]
    return found


def column(found: dict[Task, object], kind: str, split: str, name: str) -> Tensor:
    """One column of a kind of work over a split."""
    parts = [r[name] for task, r in found.items() if (task.kind, task.split) == (kind, split)]
    return torch.cat(parts)


def test_a_pass_gives_what_the_model_says_and_the_input_of_its_head(classes):
    found = performed(classes, ["train_feature_distance", "calibration_error"])
    for name, split in classes.splits.items():
        with evaluating(classes.model):
            features = classes.model[:6](split.inputs)
            logits = classes.model[6](features)
        torch.testing.assert_close(column(found, "pass", name, "features"), features)
        if name != "train":
            torch.testing.assert_close(column(found, "pass", name, "logits"), logits)


def test_a_pass_keeps_no_more_than_is_wanted(classes):
    found = performed(classes, ["calibration_error"])
    passes = {task.split: r for task, r in found.items() if task.kind == "pass"}
    assert {name: set(r) for name, r in passes.items()} == dict.fromkeys(
        ("test", "moved", "half"), {"logits"}
    )


def test_shards_are_rows_in_order(monkeypatch):
    """A split of several shards is the model's answer to each of its rows."""
    monkeypatch.setattr("offmap.engine.graph.SHARD_ROWS", 256)
    inputs = torch.randn(1000, 4, generator=torch.Generator().manual_seed(0))
    run = TrainingRun(nn.Linear(4, 3), test=Split(inputs, torch.arange(1000) % 3))
    found = performed(run, ["calibration_error"])
    passes = [task for task in found if task.kind == "pass"]
    assert [(t.start, t.stop) for t in passes] == [(0, 256), (256, 512), (512, 768), (768, 1000)]
    with evaluating(run.model):
        torch.testing.assert_close(column(found, "pass", "test", "logits"), run.model(inputs))


def test_token_scores_and_reconstruction_errors_by_hand():
    run = worlds()["tokens"]
    found = performed(run, ["generalization_gap"])
    with evaluating(run.model):
        scores = run.model(run.test.inputs).double()
    chosen = scores.log_softmax(dim=2).gather(2, run.test.targets[..., None])[..., 0]
    nll, hits = (column(found, "pass", "test", name) for name in ("nll", "hits"))
    torch.testing.assert_close(nll.double(), -chosen, atol=1e-5, rtol=1e-5)
    assert torch.equal(hits, scores.argmax(dim=2) == run.test.targets)
    assert TokenPredictions(nll, hits).error.shape == (len(run.test),)

    run = worlds()["reconstruction"]
    found = performed(run, ["generalization_gap"])
    with evaluating(run.model):
        gap = run.model(run.test.inputs) - run.test.inputs
    errors = column(found, "pass", "test", "errors")
    torch.testing.assert_close(errors, gap.double().square().mean(dim=(1, 2, 3)))


def test_neighbors_are_the_nearest_and_nobody_is_his_own(classes):
    found = performed(classes, ["train_neighbor_distance"])
    train, test = (s.inputs.flatten(1).double() for s in (classes.train, classes.test))
    apart = torch.cdist(test, train, compute_mode="donot_use_mm_for_euclid_dist")
    expected = apart.topk(10, largest=False).values
    torch.testing.assert_close(column(found, "neighbors", "test", "distance"), expected)

    within = torch.cdist(train, train, compute_mode="donot_use_mm_for_euclid_dist")
    within.fill_diagonal_(torch.inf)
    expected = within.topk(10, largest=False).values
    torch.testing.assert_close(column(found, "neighbors", "train", "distance"), expected)
    own = column(found, "neighbors", "train", "index") == torch.arange(len(train))[:, None]
    assert not bool(own.any())


def test_feature_neighbors_are_those_of_the_features(classes):
    found = performed(classes, ["train_feature_distance"])
    bank, queries = (column(found, "pass", name, "features") for name in ("train", "half"))
    expected = search(queries, TensorTable(bank), k=10).distance
    assert torch.equal(column(found, "feature_neighbors", "half", "distance"), expected)


def test_leave_one_out_is_over_a_sample_of_a_large_train(monkeypatch, classes):
    monkeypatch.setattr("offmap.engine.graph.LEAVE_ONE_OUT", 100)
    monkeypatch.setattr("offmap.engine.work.LEAVE_ONE_OUT", 100)
    found = performed(classes, ["train_neighbor_distance"])
    index = column(found, "neighbors", "train", "index")
    assert index.shape == (100, 10)
    assert int(index.max()) >= 200  # among all of train


def test_groups_of_layers_are_what_each_is_alone(classes):
    """A budget that holds them all, and one that holds none: the same numbers in the same order."""
    rows = torch.arange(0, 120, 2)
    wide = list(Layers(classes.model, classes.test, rows))
    narrow = list(Layers(classes.model, classes.test.renamed("test", memory=1), rows))
    assert [name for name, _ in wide] == [name for name, _ in narrow] == ["0", "6"]
    for (name, one), (_, other) in zip(wide, narrow, strict=True):
        assert torch.equal(one, other)
        with evaluating(classes.model):
            alone = classes.model[: int(name) + 1](classes.test.inputs[rows]).flatten(1)
        torch.testing.assert_close(one, alone)


def test_layers_before_one_that_works_in_place():
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(inplace=True), nn.Linear(5, 2))
    split = Split(torch.randn(20, 4, generator=torch.Generator().manual_seed(0)))
    first = dict(Layers(model, split, torch.arange(20)))["0"]
    with torch.no_grad():
        torch.testing.assert_close(first, model[0](split.inputs))
    assert float(first.min()) < 0


# -------------------------------------------------------------- shards and repetitions of a measure


@pytest.fixture
def toys(monkeypatch):
    """The measures of `tests/engine/toys`, on offer."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    from toys.geometry import units

    with offering(*units.UNITS):
        yield units
    for name in [n for n in sys.modules if n.split(".")[0] == "toys"]:
        del sys.modules[name]


def numbered(n: int) -> Split:
    """Row i holds the number i."""
    return Split(torch.arange(float(n))[:, None].expand(n, 2).clone(), torch.arange(n) % 2)


BY_SEED = ("reading", "noise_by_seed")


def long_run(n: int = 5000) -> TrainingRun:
    return TrainingRun(nn.Linear(2, 2), train=numbered(100), test=numbered(n))


def test_shards_of_a_measure_are_its_rows_in_order(toys):
    found = performed(long_run(), ["first_number"])
    shards = [(t.start, t.stop) for t in found if t.kind == "per_example"]
    assert shards == [(0, 2048), (2048, 4096), (4096, 5000)]
    (reading,) = (r for r in found.values() if isinstance(r, Reading))
    assert torch.equal(reading.per_example, torch.arange(5000.0, dtype=torch.double))


def test_each_shard_and_each_repetition_draws_its_own_numbers(toys):
    found = performed(long_run(), ["noise_by_example", "noise_by_seed"])
    shards = [r["rows"] for task, r in found.items() if task.kind == "per_example"]
    assert len(torch.cat(shards).unique()) == 5000
    seeds = [r["rows"] for task, r in found.items() if task.kind == "replicate"]
    assert len(seeds) == 3
    assert len(torch.cat(seeds).unique()) == 6
    (reading,) = (r for task, r in found.items() if (task.kind, task.unit) == BY_SEED)
    assert reading.value == pytest.approx(torch.stack(seeds)[:, 0].mean().item())


def test_more_repetitions_keep_the_first(toys):
    def seeds(n):
        report = prepare(
            long_run(),
            Selection(only=["noise_by_seed"], settings={"noise_by_seed": {"seeds": n}}),
            Resources(2**30, 1, 0),
        )
        return [
            perform(task, Context(report.run, 0), {})["rows"]
            for task in report.graph.tasks
            if task.kind == "replicate"
        ]

    assert all(torch.equal(a, b) for a, b in zip(seeds(2), seeds(5), strict=False))


def test_one_repetition_is_too_few(toys):
    with pytest.raises(InputError, match="expected at least two seeds for an interval, got 1"):
        audit(long_run(), only=["noise_by_seed"], settings={"noise_by_seed": {"seeds": 1}})


def test_another_measure_moves_no_number(toys):
    alone = audit(long_run(), only=["noise_by_example"], threads=1).entries
    among = audit(
        long_run(), only=["noise_by_example", "noise_by_seed", "first_number"], threads=1
    ).entries
    (same,) = (entry for entry in among if entry.measure == "noise_by_example")
    assert torch.equal(alone[0].reading.per_example, same.reading.per_example)
    other = audit(long_run(), only=["noise_by_example"], threads=1, seed=1).entries
    assert not torch.equal(alone[0].reading.per_example, other[0].reading.per_example)


def test_an_error_in_a_shard_is_the_measures_and_nobody_elses(toys):
    report = audit(long_run(), only=["breaks_in_a_shard", "first_number"], threads=1)
    outcomes = {entry.measure: entry.outcome for entry in report.entries}
    assert outcomes["breaks_in_a_shard"].error == "ZeroDivisionError: row 2048"
    assert "in _break" in outcomes["breaks_in_a_shard"].traceback
    assert isinstance(outcomes["first_number"], Reading)


def test_a_reason_in_a_shard_is_a_skip(toys):
    (entry,) = audit(long_run(), only=["declines_in_a_shard"], threads=1).entries
    assert entry.outcome == Skipped("not today")


def test_settings_reach_the_shards(toys):
    report = audit(
        long_run(), only=["first_number"], settings={"first_number": {"factor": 3.0}}, threads=1
    )
    assert torch.equal(report.entries[0].reading.per_example, 3 * torch.arange(5000.0).double())
    assert report.entries[0].settings == {"factor": 3.0}


# ----------------------------------------------------------------------------------- the books


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
    shifts = {**classes.shifts, "moved": moved(classes.shifts["moved"])}
    _, watch = book(replace(classes, shifts=shifts), tmp_path)
    assert {split for kind, _, split in watch.done if kind == "reading"} == {"moved"}
    assert {split for kind, _, split in watch.done if kind == "pass"} == {"moved", "train"}


def test_more_measures_do_again_only_themselves(classes, tmp_path):
    book(classes, tmp_path, only=("calibration_error",))
    _, watch = book(classes, tmp_path, only=("calibration_error", "effective_rank"))
    assert {unit for kind, unit, _ in watch.done if kind == "reading"} == {"effective_rank"}


def test_a_model_that_breaks_down_on_a_later_row_stops_the_audit_and_names_it(tmp_path):
    class Late(nn.Module):
        def forward(self, x):
            return x.masked_fill((x == 700).any(dim=1, keepdim=True), torch.nan)

    run = TrainingRun(Late(), test=numbered(1000))
    with pytest.raises(InputError, match=r"test: the model's output is not finite .* rows 700"):
        audit(run, only=["calibration_error"], out=tmp_path, threads=1)


def test_every_word_of_the_vocabulary_can_be_given(toys, classes):
    """And is of the split that it names: one measure asks for all of them."""
    asked = set(toys.asks_for_everything.needs)
    assert asked == set(VOCABULARY) - {"per_example", "replicates"}
    run = replace(classes, class_names=[str(digit) for digit in range(10)])
    for entry in audit(run, only=["asks_for_everything"], threads=1).entries:
        assert isinstance(entry.outcome, Reading), entry.outcome
        n, test, train = (len(classes.splits[name]) for name in (entry.split, "test", "train"))
        sizes = {name: part.value for name, part in entry.reading.parts.items()}
        for name, size in sizes.items():
            prefix = name.partition("_")[0]
            if prefix == "all":
                assert size == test + sum(map(len, classes.shifts.values())), name
            else:
                assert size == {"train": train, "test": test}.get(prefix, n), name
        assert len(sizes) == 27
