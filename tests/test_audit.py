"""`offmap.audit`: what a report says, that it says it again, and what it says of less evidence."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from offmap import InputError, Report, Split, TrainingRun
from offmap.audit import audit, parse_bytes, plan
from offmap.catalog import offering
from offmap.demo import digits
from offmap.engine.progress import Silent
from offmap.inputs import ClassPredictions
from offmap.measure import QUESTIONS, Cost, Measure, Paper
from offmap.models import Autoencoder, Transformer, load_exported
from offmap.reading import Failed, Reading, Skipped
from offmap.sources import from_text

FEW = [
    "overparameterization", "generalization_gap", "calibration_error", "accuracy_under_shift",
    "example_forgetting", "worst_group_error",
]  # fmt: skip
EXACT = ["overparameterization", "generalization_gap", "accuracy_under_shift"]


@pytest.fixture(scope="module")
def run() -> TrainingRun:
    """The demo, trained for a moment, with two of its shifts."""
    made = digits(epochs=2)
    return replace(made, shifts={name: made.shifts[name] for name in ("noise", "contrast")})


@pytest.fixture(scope="module")
def report(run) -> Report:
    return audit(run, only=FEW, settings={"calibration_error": {"bins": 10}}, threads=1)


def outcomes(report: Report) -> dict:
    return {(e.measure, e.split): e.outcome for e in report.entries}


def reasons(report: Report) -> dict:
    """Of what was skipped, by measure."""
    return {entry.measure: entry.outcome.reason for entry in report.skipped}


def test_name_of_the_module_is_the_function():
    import offmap.audit

    assert callable(offmap.audit)
    assert offmap.audit is audit


def test_entries_follow_the_questions(report):
    order = [list(QUESTIONS).index(entry.question) for entry in report.entries]
    assert order == sorted(order)
    assert {entry.measure for entry in report.entries} == set(FEW)
    splits = [e.split for e in report.entries if e.measure == "worst_group_error"]
    assert splits == ["test", "noise", "contrast"]
    assert all(entry.reading for entry in report.entries)
    assert set(report.cards) == set(FEW)


def test_settings_are_bound_and_stored(report):
    found = {entry.measure: entry.settings for entry in report.entries}
    assert found["calibration_error"] == {"bins": 10, "draws": 400}
    assert found["worst_group_error"] == {"smallest": 10, "draws": 200}
    assert report.provenance.settings == {"calibration_error": {"bins": 10}}


def test_provenance_is_complete(run, report):
    kept = report.provenance
    assert (kept.name, kept.task, kept.seed, kept.engine) == (
        "digits",
        "classification",
        0,
        "local",
    )
    assert (kept.threads, kept.memory) == (1, 4 * 2**30)
    assert kept.class_names == tuple("0123456789")
    assert set(kept.fingerprints) == {"code", "model", "train", "test", "noise", "contrast"}
    assert len(set(kept.fingerprints.values())) == 6
    assert kept.domain == {
        "shape": (1, 8, 8), "dtype": "float32", "low": 0.0, "high": 1.0, "kind": "image",
        "inferred": False,
    }  # fmt: skip
    assert kept.splits["train"] == {
        "examples": 1200, "numbers_each": 64, "targets": True, "groups": 3, "low": 0.0, "high": 1.0,
    }  # fmt: skip
    assert kept.model["parameters"] == sum(w.numel() for w in run.model.parameters())
    assert kept.versions["torch"] == torch.__version__
    assert kept.peak_bytes > 0
    assert kept.reused == 0
    assert kept.seconds > sum(kept.shared_seconds.values()) > 0


def test_domain_that_nobody_stated_is_inferred(run):
    found = audit(replace(run, domain=None), only=["overparameterization"], threads=1)
    assert found.provenance.domain["inferred"] is True
    assert found.provenance.domain["high"] == 1.0


def test_same_seed_same_report_and_another_moves_random_numbers_only(run, report):
    settings = {"calibration_error": {"bins": 10}}
    again = audit(run, only=FEW, settings=settings, threads=1)
    other = audit(run, only=FEW, settings=settings, threads=1, seed=1)
    first, second, third = outcomes(report), outcomes(again), outcomes(other)
    for place, reading in first.items():
        assert _bits(second[place]) == _bits(reading)
        assert (_bits(third[place]) == _bits(reading)) == (
            place[0] not in ("calibration_error", "worst_group_error")
        ), place


def _bits(reading: Reading) -> tuple:
    rows = reading.per_example
    return (
        reading.estimate, reading.null, dict(reading.parts),
        None if rows is None else rows.numpy().tobytes(),
    )  # fmt: skip


def test_measures_left_out_move_no_number(run, report):
    alone = audit(
        run, only=["calibration_error"], settings={"calibration_error": {"bins": 10}}, threads=1
    )
    for place, reading in outcomes(alone).items():
        assert _bits(reading) == _bits(outcomes(report)[place])


def test_report_survives_a_folder(run, report, tmp_path):
    assert report.save(tmp_path) == tmp_path
    back = Report.load(tmp_path)
    assert back.provenance == report.provenance
    assert back.plan == report.plan
    for place, reading in outcomes(report).items():
        assert _bits(outcomes(back)[place]) == _bits(reading)
    assert "<html" in report._repr_html_() or "<iframe" in report._repr_html_()


def test_plan_is_what_is_done(run, report):
    made = plan(run, only=FEW, threads=1)
    assert [(p.measure, p.split) for p in made.items] == [
        (e.measure, e.split) for e in report.entries
    ]
    assert made.seconds > 0
    assert all(item.peak_bytes > 0 for item in made.runs)
    assert {work.split for work in made.shared} == {"train", "test", "noise", "contrast"}


# ------------------------------------------------------------------------------------- failures


def _broken(predictions: ClassPredictions) -> Reading:
    raise RuntimeError("the toy is broken")


def _measure(function) -> Measure:
    function.__module__ = "offmap.measures.geometry.contamination"  # whose folder says the question
    return Measure(
        function, asks="Does it break?", unit="number", span=(0.0, 1.0), better="neither",
        cost=Cost.FORWARD, read="-", caution="-", next_step="-",
        paper=Paper("-", "https://example.org"),
    )  # fmt: skip


def test_a_measure_that_fails_costs_nothing_else(run, report, tmp_path):
    unit = _measure(_broken)
    with offering(unit):
        found = audit(run, only=["_broken", "generalization_gap"], threads=1, out=tmp_path)
        again = audit(run, only=["_broken", "generalization_gap"], threads=1, out=tmp_path)
    failed = [entry.outcome for entry in found.failed]
    assert len(failed) == 3
    assert all(isinstance(outcome, Failed) for outcome in failed)
    assert failed[0].error == "RuntimeError: the toy is broken"
    assert 'raise RuntimeError("the toy is broken")' in failed[0].traceback
    place = ("generalization_gap", "test")
    assert _bits(outcomes(found)[place]) == _bits(outcomes(report)[place])
    assert len(again.failed) == 3  # tried again: failures are not kept
    assert again.provenance.reused == 3
    assert Report.load(tmp_path).failed[0].outcome == failed[0]


class Interrupt(Silent):
    """Stops an audit after some tasks, as Ctrl-C does."""

    def __init__(self, after: int) -> None:
        self.left = after

    def finish(self, task, entry):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def test_an_interrupted_audit_leaves_the_run_and_the_folder_usable(run, report, tmp_path):
    modes = [module.training for module in run.model.modules()]
    with pytest.raises(KeyboardInterrupt):
        audit(run, only=FEW, threads=1, out=tmp_path, watcher=lambda _: Interrupt(6))
    assert [module.training for module in run.model.modules()] == modes
    found = audit(run, only=FEW, threads=1, out=tmp_path)
    assert found.provenance.reused > 0
    place = ("accuracy_under_shift", "noise")
    assert _bits(outcomes(found)[place]) == _bits(outcomes(report)[place])


# --------------------------------------------------------------------------------- less evidence


def test_a_run_with_only_train(run):
    found = audit(replace(run, test=None, shifts={}, history=None), max_cost="forward", threads=1)
    assert not found.failed
    assert found.reading("overparameterization") is not None
    assert found.reading("neural_collapse") is not None
    said = reasons(found)
    assert said["calibration_error"] == "needs a test split, and the run has none"
    assert (
        said["accuracy_under_shift"] == "needs a shift to compare with test, and the run has none"
    )
    assert said["example_forgetting"] == "the run has no history"


def test_a_run_with_only_test(run):
    found = audit(replace(run, train=None, shifts={}, history=None), max_cost="forward", threads=1)
    assert not found.failed
    assert found.reading("calibration_error", "test") is not None
    said = reasons(found)
    assert said["overparameterization"] == "the run has no train split"
    assert said["train_neighbor_distance"] == "the run has no train split to be near to"


def test_a_shift_without_targets(run):
    noise = run.shifts["noise"]
    run = replace(run, shifts={"noise": Split(noise.inputs, groups=noise.groups)})
    names = [
        "calibration_error",
        "accuracy_under_shift",
        "contamination",
        "train_neighbor_distance",
    ]
    found = audit(run, only=names, threads=1)
    assert not found.failed
    on_noise = {e.measure: e.outcome for e in found.entries if e.split == "noise"}
    for name in ("calibration_error", "accuracy_under_shift"):
        assert on_noise[name] == Skipped("split 'noise' has no targets")
    for name in ("contamination", "train_neighbor_distance"):
        assert isinstance(on_noise[name], Reading)
    assert found.reading("calibration_error", "test") is not None


def test_no_data_and_unusable_data(run):
    with pytest.raises(InputError, match="expected a train or a test split, got neither"):
        TrainingRun(run.model)
    with pytest.raises(InputError, match="train: expected at least one example, got none"):
        replace(run, train=run.train.take(torch.arange(0)))


# ----------------------------------------------------------------------------------- the model


class Net(nn.Module):
    """Batch norm and dropout, in training mode as made."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 10)
        )

    def forward(self, inputs):
        return self.layers(inputs)


def test_a_model_left_in_training_mode_is_read_in_evaluation_mode_and_put_back(run):
    torch.manual_seed(0)
    model = Net()
    model.layers[3].eval()  # a mixture: each module has its own mode
    modes = {name: module.training for name, module in model.named_modules()}
    state = {name: value.clone() for name, value in model.state_dict().items()}
    names = ["calibration_error", "generalization_gap", "effective_rank", "gradient_signal"]
    found = audit(replace(run, model=model, recipe=None), only=names, threads=1)
    assert {name: module.training for name, module in model.named_modules()} == modes
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(weight.grad is None for weight in model.parameters())
    ready = audit(replace(run, model=model.eval(), recipe=None), only=names, threads=1)
    for place, reading in outcomes(found).items():
        assert _bits(reading) == _bits(outcomes(ready)[place])


class InPlace(Net):
    def forward(self, inputs):
        return self.layers(inputs.mul_(0.5))


def test_data_are_left_alone_by_a_model_that_is_refused(run):
    before = run.train.inputs.clone()
    with pytest.raises(InputError, match="leaves its input alone, got one that changes it in pl"):
        audit(replace(run, model=InPlace(), recipe=None), threads=1)
    assert torch.equal(run.train.inputs, before)


# ------------------------------------------------------------------------------------ the tasks


def _halves(inputs, targets=None, moved=0.5) -> dict:
    n = len(inputs) // 2
    first, second = (
        Split(part, None if targets is None else targets[rows])
        for part, rows in ((inputs[:n], slice(n)), (inputs[n:], slice(n, None)))
    )
    shift = Split(moved * second.table.values, second.known_targets)
    return {"train": first, "test": second, "shifts": {"moved": shift}}


def _end_to_end(run: TrainingRun, task: str) -> Report:
    found = audit(run, max_cost="backward", threads=1)
    assert not found.failed, found.failed
    assert found.provenance.task == task
    said = reasons(found)
    assert said["calibration_error"] == f"is about classification, and this is {task}"
    for name in ("overparameterization", "effective_rank", "gradient_signal"):
        assert found.reading(name) is not None, said.get(name)
    assert found.reading("generalization_gap", "test") is not None
    assert found.reading("accuracy_under_shift", "moved") is not None
    return found


def test_regression_from_end_to_end(generator):
    inputs = torch.randn(120, 5, generator=generator)
    targets = inputs[:, :2].sin()
    model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 2))
    found = _end_to_end(TrainingRun(model, **_halves(inputs, targets)), "regression")
    assert found.provenance.domain["kind"] == "vector"
    assert found.provenance.domain["high"] is None


def test_reconstruction_from_end_to_end(generator):
    images = torch.rand(120, 1, 6, 6, generator=generator)
    model = Autoencoder((1, 6, 6), code=4, hidden=16)
    found = _end_to_end(TrainingRun(model, **_halves(images)), "reconstruction")
    assert found.reading("contamination", "moved") is not None


def test_next_token_prediction_from_end_to_end(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("the map ends where the data end, and beyond it all bets are off. " * 60)
    train = from_text(text, length=16, name="train")
    test = train.take(torch.arange(len(train) - 60, len(train)))
    moved = Split(test.inputs.flip(1), test.targets)
    model = Transformer(len(train.class_names), length=16, width=8, heads=2, layers=1)
    found = _end_to_end(TrainingRun(model, train, test, {"moved": moved}), "tokens")
    assert found.provenance.domain["kind"] == "tokens"
    parts = found.reading("effective_rank", "moved").parts
    assert "head: participation ratio" in parts
    assert "positions: participation ratio" not in parts  # the same for every example


def test_an_exported_program_from_end_to_end(run, tmp_path):
    sizes = ({0: torch.export.Dim("n")},)
    program = torch.export.export(run.model.eval(), (run.test.inputs[:4],), dynamic_shapes=sizes)
    torch.export.save(program, tmp_path / "model.pt2")
    with pytest.raises(InputError, match="can run code when it is read: pass --allow-pickle"):
        load_exported(tmp_path / "model.pt2")
    model = load_exported(tmp_path / "model.pt2", allow_pickle=True)
    found = audit(replace(run, model=model, recipe=None), max_cost="forward", threads=1)
    assert not found.failed
    whole = audit(run, only=["calibration_error"], threads=1)
    for split in ("test", "noise", "contrast"):
        mine, own = (r.reading("calibration_error", split) for r in (found, whole))
        assert mine.estimate.value == pytest.approx(own.estimate.value, abs=1e-5)
    said = reasons(found)
    assert "exported program" in said["effective_rank"]
    assert (
        said["neural_collapse"]
        == "the model shows no linear layer (is it an exported program?): set feature_layer"
    )


# -------------------------------------------------------------------------------------- sizes


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4GiB", 4 * 2**30), ("500MB", 500_000_000), ("0.5 gib", 2**29), ("67108864", 2**26),
        (2**26, 2**26), ("65536 KiB", 2**26), ("1gb", 10**9),
    ],
)  # fmt: skip
def test_sizes_are_read(text, size):
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "GiB", "4 elephants", "-4GiB", "1.2.3MB", "4TiB", "nan"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(InputError, match="expected a size such as 4GiB or 500MB, got"):
        parse_bytes(text)


def test_threads_and_budgets_have_a_least(run):
    with pytest.raises(InputError, match="expected at least one thread, got 0"):
        audit(run, threads=0)
    with pytest.raises(InputError, match=r"at least 64MiB, got 1,000,000 bytes"):
        plan(run, memory="1MB")
