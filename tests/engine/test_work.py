"""The tasks of an audit: keys that say all that a result depends on, and what performing gives."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from offmap.attempt import InputError
from offmap.audit import Resources, audit, prepare
from offmap.catalog import offering
from offmap.engine.graph import Task
from offmap.engine.work import NEIGHBORS, Context, perform
from offmap.inputs import VOCABULARY, Layers, TokenPredictions
from offmap.numerics.neighbors import search
from offmap.passes import evaluating
from offmap.plan import Selection
from offmap.reading import Reading, Skipped
from offmap.run import Split, TrainingRun
from offmap.table import Table, TensorTable
from offmap.testing import tiny


@pytest.fixture(scope="module")
def classes() -> TrainingRun:
    return tiny.classification()


# -------------------------------------------------------------------------------------- performing


def test_tasks_come_after_what_they_need(classes):
    ready = prepare(classes, Selection(), Resources(2**30, 1, 0))
    done = set()
    for task in ready.graph.tasks:
        assert set(task.needs) <= done
        done.add(task.key)
    assert set(ready.graph.readings) <= done


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
    assert sorted((name, *r) for name, r in passes.items()) == [
        ("half", "logits"), ("moved", "logits"), ("test", "logits"),
    ]  # fmt: skip


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
    run = tiny.tokens()
    found = performed(run, ["generalization_gap"])
    with evaluating(run.model):
        scores = run.model(run.test.inputs).double()
    chosen = scores.log_softmax(dim=2).gather(2, run.test.targets[..., None])[..., 0]
    nll, hits = (column(found, "pass", "test", name) for name in ("nll", "hits"))
    torch.testing.assert_close(nll.double(), -chosen, atol=1e-5, rtol=1e-5)
    assert torch.equal(hits, scores.argmax(dim=2) == run.test.targets)
    assert TokenPredictions(nll, hits).error.shape == (len(run.test),)

    run = tiny.reconstruction()
    found = performed(run, ["generalization_gap"])
    with evaluating(run.model):
        gap = run.model(run.test.inputs) - run.test.inputs
    errors = column(found, "pass", "test", "errors")
    torch.testing.assert_close(errors, gap.double().square().mean(dim=(1, 2, 3)))


def test_neighbors_are_the_nearest_and_nobody_is_his_own(classes):
    found = performed(classes, ["train_neighbor_distance"])
    train, test = (s.inputs.flatten(1).double() for s in (classes.train, classes.test))
    apart = torch.cdist(test, train, compute_mode="donot_use_mm_for_euclid_dist")
    expected = apart.topk(NEIGHBORS, largest=False).values
    torch.testing.assert_close(column(found, "neighbors", "test", "distance"), expected)

    within = torch.cdist(train, train, compute_mode="donot_use_mm_for_euclid_dist")
    within.fill_diagonal_(torch.inf)
    expected = within.topk(NEIGHBORS, largest=False).values
    torch.testing.assert_close(column(found, "neighbors", "train", "distance"), expected)
    own = column(found, "neighbors", "train", "index") == torch.arange(len(train))[:, None]
    assert not bool(own.any())


def test_feature_neighbors_are_those_of_the_features(classes):
    found = performed(classes, ["train_feature_distance"])
    bank, queries = (column(found, "pass", name, "features") for name in ("train", "half"))
    expected = search(queries, TensorTable(bank), k=NEIGHBORS).distance
    assert torch.equal(column(found, "feature_neighbors", "half", "distance"), expected)


def test_leave_one_out_is_over_a_sample_of_a_large_train(monkeypatch, classes):
    monkeypatch.setattr("offmap.engine.graph.LEAVE_ONE_OUT", 100)
    monkeypatch.setattr("offmap.engine.work.LEAVE_ONE_OUT", 100)
    found = performed(classes, ["train_neighbor_distance"])
    index = column(found, "neighbors", "train", "index")
    assert index.shape == (100, NEIGHBORS)
    assert int(index.max()) >= 200  # among all of train


def test_groups_of_layers_are_what_each_is_alone(classes):
    """A budget that holds them all, and one that holds none: the same numbers in the same order."""
    rows, narrow_test = torch.arange(0, 120, 2), classes.test.renamed("test", memory=1)
    wide = list(Layers(classes.model, classes.test, rows))
    narrow = list(Layers(classes.model, narrow_test, rows))

    def batches(split: Split) -> int:
        """How often the model is run, one example for the sizes included."""
        seen = []
        hook = classes.model.register_forward_hook(lambda *_: seen.append(1))
        list(Layers(classes.model, split, rows))
        hook.remove()
        return len(seen)

    assert [name for name, _ in wide] == [name for name, _ in narrow] == ["0", "6"]
    assert (batches(classes.test), batches(narrow_test)) == (1 + 1, 1 + 2)
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


def test_a_measure_does_not_draw_the_numbers_of_its_shards_again(toys):
    (entry,) = audit(long_run(1000), only=["noise_of_its_own"], threads=1).entries
    assert not bool((entry.reading.per_example == 0).any())


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


def test_a_model_that_breaks_down_on_a_later_row_stops_the_audit_and_names_it(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("offmap.engine.graph.SHARD_ROWS", 256)

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
        assert len(sizes) == 28
