"""The suite itself: a good measure passes, and each law catches those who break it."""

from dataclasses import dataclass, replace

import jaxtyping
import pytest
import torch
from offenders.geometry.bad import OFFENDERS
from toy_offmap.geometry.toy_measure import toy_measure

from offmap.attempt import InputError
from offmap.catalog import measures
from offmap.estimate import Estimate, exact
from offmap.measure import Cost, Paper
from offmap.passes import evaluating
from offmap.plan import PREDICTIONS
from offmap.reading import Entry, Reading, Skipped
from offmap.testing import (
    check_card,
    check_evidence,
    check_measure,
    check_readings,
    readings,
    tiny,
    try_out,
    without,
    worlds,
)
from offmap.testing.laws import LAWS, keeps_to_its_task, requires, survives_the_report
from offmap.testing.watching import counted

CLASSES = tiny.classification()
NAMES = ("classification", "regression", "reconstruction", "tokens", "exported")


def test_a_good_measure_of_somebody_else_passes():
    check_measure(toy_measure)
    assert "toy_measure" not in measures()  # it was on offer for the check only


@pytest.fixture
def unchecked():
    """Types unchecked, as where offmap is used: columns that do not fit pass the constructor."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def put_back():
    """What offenders do to torch itself ends with the test."""
    yield
    torch.set_grad_enabled(True)
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("unchecked", "put_back")
@pytest.mark.parametrize("name", OFFENDERS)
def test_each_offender_breaks_its_law_and_no_other(name):
    law, unit = OFFENDERS[name]
    trial = try_out(unit, CLASSES)
    assert [each.__name__ for each in LAWS if list(each(trial))] == [law]


def test_a_broken_law_is_an_assertion_that_names_measure_run_and_split():
    _, unit = OFFENDERS["forgets_an_example"]
    with pytest.raises(AssertionError, match=r"forgets_an_example on classification:\n- test: exp"):
        check_readings(unit, CLASSES)


def test_offenders_cannot_spoil_the_worlds():
    before = {name: weight.clone() for name, weight in CLASSES.model.state_dict().items()}
    modes = [module.training for module in CLASSES.model.modules()]
    inputs = CLASSES.test.inputs.clone()
    for name in ("changes_a_weight", "leaves_the_model_in_evaluation_mode", "works_in_place"):
        try_out(OFFENDERS[name][1], CLASSES)
    assert all(torch.equal(w, before[n]) for n, w in CLASSES.model.state_dict().items())
    assert modes == [module.training for module in CLASSES.model.modules()]
    assert torch.equal(inputs, CLASSES.test.inputs)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"asks": "How long is an input."}, "asks"),
        ({"read": "long or short"}, "numbers"),
        ({"unit": ""}, "'unit'"),
        ({"caution": " "}, "'caution'"),
        ({"next_step": ""}, "'next_step'"),
        ({"paper": Paper("Euclid", "http://example.org/")}, "https"),
        ({"paper": Paper("", "https://example.org/")}, "citation"),
        ({"span": (1.0, 0.0)}, "span"),
        ({"function": OFFENDERS["works_in_place"][1].function}, "Args"),
        ({"function": OFFENDERS["works_in_place"][1].function}, "works_in_place.py"),
        ({"function": OFFENDERS["works_in_place"][1].function}, "'summary'"),
        ({"per_example": lambda split, *, tile=3: split}, "'tile'"),
    ],
)
def test_a_card_with_a_gap_is_caught(change, complaint):
    check_card(toy_measure)
    with pytest.raises(AssertionError, match=complaint):
        check_card(replace(toy_measure, **change))


def test_a_measure_of_another_task_that_reads_all_the_same_is_caught():
    calibration = measures()["calibration_error"]
    trial = try_out(calibration, CLASSES)
    assert not list(keeps_to_its_task(trial))
    elsewhere = replace(trial, run=tiny.regression())
    assert len(list(keeps_to_its_task(elsewhere))) == len(trial.entries)


@dataclass(frozen=True)
class Guess(Estimate):
    """An estimate that no report knows."""


def test_an_entry_that_json_cannot_give_back_is_caught():
    trial = try_out(toy_measure, CLASSES)
    assert not list(survives_the_report(trial))
    alien = Reading(exact(0.5), parts={"a": Guess(0.5, 0.5, 0.5, "exact", 1)})
    (complaint,) = survives_the_report(
        replace(trial, entries=(Entry("toy_measure", "geometry", "test", alien),))
    )
    assert "Guess" in complaint


def test_a_measure_without_any_reading_proves_nothing():
    with pytest.raises(AssertionError, match="at least one run"):
        check_measure(measures()["example_forgetting"], {"tokens": tiny.tokens()})


def test_evidence_that_is_needed_and_not_there_must_be_missed():
    """A measure that raises where its evidence is gone."""
    check_evidence(measures()["accuracy_under_shift"], CLASSES)
    with pytest.raises(AssertionError, match="expected a skip without test, got\nTraceback"):
        check_evidence(OFFENDERS["raises"][1], CLASSES)


def test_a_reading_of_what_is_not_there_is_caught(monkeypatch):
    """As when the engine took for `train` what is not: here, nothing is taken away at all."""
    monkeypatch.setattr("offmap.testing.without", lambda run: {"train": run, "groups": run})
    check_evidence(measures()["calibration_error"], CLASSES)  # it asks for neither
    with pytest.raises(AssertionError, match="a skip without train, for it asks for it, got a r"):
        check_evidence(measures()["overparameterization"], CLASSES)


def test_what_a_run_can_lack():
    less = without(CLASSES)
    assert set(less) == {
        "train", "test", "shifts", "history", "recipe", "checkpoints", "groups", "targets",
    }  # fmt: skip
    assert less["train"].train is None
    assert all(split.groups is None for split in less["groups"].splits.values())
    assert less["groups"].test.known_targets is not None
    assert [name for name, s in less["targets"].splits.items() if s.known_targets is None] == [
        "test", "moved", "half",
    ]  # fmt: skip
    assert "targets" not in without(tiny.reconstruction())


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("overparameterization", {"train"}),
        ("generalization_gap", {"train", "targets"}),
        ("contamination", {"train"}),
        ("accuracy_under_shift", {"test", "shifts", "targets"}),
        ("worst_group_error", {"groups", "targets"}),
        ("example_forgetting", {"history", "train"}),
        ("random_label_fit", {"recipe", "train"}),
    ],
)
def test_what_a_measure_requires(name, needed):
    assert {e for e in without(CLASSES) if requires(measures()[name], e)} == needed


# ------------------------------------------------------------------------------------ the worlds


def test_the_worlds_are_one_of_each_task_and_a_program_without_modules():
    assert tuple(worlds()) == NAMES
    tasks = {name: run.task for name, run in worlds().items()}
    assert tasks == {name: name for name in PREDICTIONS} | {"exported": "classification"}


@pytest.mark.parametrize("name", NAMES)
def test_a_world_shows_what_is_done_to_it(name):
    """Models are trained and imperfect; mixed modes, a frozen weight and a gradient are there."""
    run = getattr(tiny, name)()
    (entry, *_) = readings(measures()["generalization_gap"], run)
    assert entry.reading.parts["test error"].value > 0 if "test error" in entry.reading.parts else 1
    if name == "exported":
        return
    assert {module.training for module in run.model.modules()} == {True, False}
    assert {weight.requires_grad for weight in run.model.parameters()} == {True, False}
    assert sum(weight.grad is not None for weight in run.model.parameters()) == 1
    assert len({len(split) for split in run.splits.values()}) == 3  # a mix-up of splits shows


# ---------------------------------------------------------------------------------- the counting


def passes(work, n=30):
    """Forward and backward passes that `work(model, inputs [n, ...])` makes, of an example."""
    run, tally = counted(CLASSES)
    tally.on = True
    with evaluating(run.model, gradients=True):
        work(run.model, run.test.inputs[:n].clone().requires_grad_())
    return tally.forward, tally.backward


def test_counts_plain_passes():
    assert passes(lambda model, inputs: model(inputs)) == (30, 0)
    assert passes(lambda model, inputs: model(inputs).sum().backward()) == (30, 30)


def test_counts_a_backward_pass_for_each_direction():
    def jacobian(model, inputs):
        out = model(inputs)
        for k in range(3):
            torch.autograd.grad(out[:, k].sum(), inputs, retain_graph=True)

    assert passes(jacobian) == (30, 90)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # torch's own, of jvp
def test_counts_under_function_transforms():
    def gradients(model, inputs):
        torch.func.vmap(torch.func.grad(lambda one: model(one[None]).sum()))(inputs)

    def jacobians(model, inputs):
        torch.func.vmap(torch.func.jacrev(lambda one: model(one[None])[0]))(inputs)

    def slopes(model, inputs):
        torch.func.jvp(model, (inputs,), (torch.ones_like(inputs),))

    assert passes(gradients) == (30, 30)
    assert passes(jacobians) == (30, 300)  # ten classes
    assert passes(slopes) == (60, 0)  # forward once with the values, once with the slopes


def test_counting_changes_no_number():
    run, tally = counted(CLASSES)
    tally.on = True
    inputs = run.test.inputs[:8]

    def slope(model):
        given = inputs.clone().requires_grad_()
        with evaluating(model, gradients=True):
            out = model(given)
            (first,) = torch.autograd.grad(out.square().sum(), given, create_graph=True)
            (second,) = torch.autograd.grad(first.square().sum(), given)
        return out, first, second

    for one, other in zip(slope(CLASSES.model), slope(run.model), strict=True):
        assert torch.equal(one, other)
    assert tally.backward >= 8


def test_what_is_planned_is_not_counted():
    """The rehearsal and the survey run the model too: only the tasks of the audit count."""
    run, tally = counted(CLASSES)
    readings(measures()["generalization_gap"], run, tally=tally)
    assert tally.forward == sum(len(split) for split in run.splits.values())
    assert not tally.on


def test_a_measure_must_lie_in_the_folder_of_a_question():
    nowhere = replace(toy_measure, function=_elsewhere)
    with pytest.raises(InputError, match=r"folder named after the question .*geometry"):
        readings(nowhere, CLASSES)


def _elsewhere(train: object) -> Reading:
    """Written in a file of tests."""
    return Reading(exact(0.5))


def test_a_skip_is_no_reading():
    run = tiny.regression()
    assert [type(entry.outcome) for entry in readings(measures()["calibration_error"], run)] == [
        Skipped
    ] * 3
    assert check_readings(measures()["calibration_error"], run) == 0
    assert measures()["calibration_error"].cost == Cost.FORWARD
