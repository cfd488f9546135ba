"""What can run where, with which settings, and why the rest cannot."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from offmap.attempt import InputError
from offmap.catalog import measures, offering
from offmap.measure import QUESTIONS, Cost, like
from offmap.plan import Plan, Planned, Selection, Shared, bind, choose, missing, splits_of
from offmap.run import Split, TrainingRun
from offmap.testing import tiny, without


@pytest.fixture(scope="module")
def classes() -> TrainingRun:
    return tiny.classification()


def reasons(run: TrainingRun, **selection) -> dict[tuple[str, str], str]:
    """By measure and split, why it will not run; nothing where it will."""
    return {(c.measure.name, c.split): c.reason for c in choose(run, Selection(**selection))}


# ------------------------------------------------------------------------------------- selection


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"only": ["calibration_eror"]},
            "expected a measure, got 'calibration_eror'.*calibration_er",
        ),
        ({"skip": ["contaminaton"]}, "did you mean .*contamination"),
        ({"settings": {"contaminaton": {"near": 0.2}}}, "expected a measure, got 'contaminaton'"),
        ({"settings": {"contamination": {"far": 0.2}}}, "expected a setting of contamination, got"),
        (
            {"settings": {"contamination": {"near": "much"}}},
            r"contamination.near: expected a value",
        ),
    ],
)
def test_what_does_not_exist_or_fit_is_refused_at_once(asked, message):
    with pytest.raises(InputError, match=message):
        Selection(**asked)


def test_everything_is_chosen_in_the_order_of_the_questions(classes):
    found = choose(classes, Selection())
    assert {choice.measure.name for choice in found} == set(measures())
    order = [list(QUESTIONS).index(choice.measure.question) for choice in found]
    assert order == sorted(order)
    for question in QUESTIONS:
        costs = [c.measure.cost for c in found if c.measure.question == question]
        assert costs == sorted(costs)


def test_what_costs_less_comes_first_whatever_its_name(classes):
    def a_name_before_all_others(split: Split) -> None: ...

    a_name_before_all_others.__module__ = "somewhere.geometry.file"
    dear = replace(
        measures()["contamination"], function=a_name_before_all_others, cost=Cost.MANY_PASSES
    )
    with offering(dear):
        names = [c.measure.name for c in choose(classes, Selection())]
    assert names.index("contamination") < names.index("a_name_before_all_others")


def test_only_and_skip(classes):
    asked = ["contamination", "effective_rank"]
    assert {name for name, _ in reasons(classes, only=asked)} == set(asked)
    assert {name for name, _ in reasons(classes, only=asked, skip=asked[:1])} == set(asked[1:])
    assert "contamination" not in {name for name, _ in reasons(classes, skip=["contamination"])}


@pytest.mark.parametrize("most", Cost)
def test_what_costs_more_is_left_out_with_the_reason(classes, most):
    for choice in choose(classes, Selection(max_cost=most)):
        if choice.measure.cost > most:
            cost = choice.measure.cost.label
            assert choice.reason == f"costs {cost}, more than the {most.label} allowed"
        else:
            assert "costs" not in choice.reason


def test_settings_are_bound_in_every_choice(classes):
    asked = {"contamination": {"near": "0.2"}}
    for choice in choose(classes, Selection(settings=asked)):
        expected = dict(choice.measure.settings)
        if choice.measure.name == "contamination":
            expected["near"] = 0.2
        assert choice.settings == expected


# --------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("default", "given", "value"),
    [
        (0.1, 0.2, 0.2),
        (0.1, 2, 2.0),
        (0.1, "1e-3", 1e-3),
        (0.1, "2", 2.0),
        (5, 7, 7),
        (5, "7", 7),
        (True, False, False),
        (True, "False", False),
        ("exact", "loose", "loose"),
        ("exact", "3", "3"),
        ((1, 2), (3,), (3,)),
        ((1, 2), [3, 4], (3, 4)),
        ((1, 2), "3, 4", (3, 4)),
        ((1, 2), 3, (3,)),
        (None, 3, 3),
        (None, "None", None),
        (None, "[1, 2]", [1, 2]),
    ],
)
def test_a_value_as_the_kind_of_thing_that_the_default_is(default, given, value):
    found = like(default, given, "toy.setting")
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("default", "given"),
    [
        (0.1, "much"),
        (0.1, True),
        (0.1, None),
        (0.1, "(1, 2)"),
        (5, 2.5),
        (5, "2.5"),
        (5, True),
        (5, None),
        (5, "__import__('os')"),
        (5, "{[]: 1}"),
        (5, "1 +"),
        (True, 1),
        (True, "yes"),
        (False, None),
        ("exact", 3),
    ],
)
def test_another_kind_of_thing_is_refused(default, given):
    with pytest.raises(InputError) as caught:
        like(default, given, "toy.setting")
    kind = f"a value like {default!r} ({type(default).__name__})"
    assert str(caught.value).startswith(f"toy.setting: expected {kind}, got ")


def test_an_unknown_setting_gets_the_nearest():
    unit = measures()["contamination"]
    with pytest.raises(InputError, match=r"expected a setting of contamination, got 'naer'.*near"):
        bind(unit, {"naer": 0.2})
    plain = next(unit for unit in measures().values() if not unit.settings)
    with pytest.raises(InputError, match=f"expected no setting of {plain.name}"):
        bind(plain, {"anything": 1})


def test_defaults_stay_as_they_are():
    unit = measures()["contamination"]
    bind(unit, {"near": 0.5})["near"] = 0.7
    assert unit.settings == {"near": 0.1}


# -------------------------------------------------------------------------------- where and why not


def test_where_a_measure_is_read(classes):
    places = {}
    for name, split in reasons(classes):
        places.setdefault(name, []).append(split)
    assert places["overparameterization"] == [""]
    assert places["calibration_error"] == ["test", "moved", "half"]
    assert places["accuracy_under_shift"] == ["moved", "half"]


def test_a_whole_run_lacks_nothing(classes):
    missing = {name: reason for (name, _), reason in reasons(classes).items() if reason}
    assert missing == {"output_hull": "is about regression, and this is classification"}


@pytest.mark.parametrize(
    ("evidence", "measure", "split", "reason"),
    [
        ("train", "overparameterization", "", "the run has no train"),
        ("train", "generalization_gap", "test", "needs a train split, and the run has none"),
        ("train", "contamination", "test", "the run has no train"),
        ("train", "distance_error", "", "the run has no train split to be near to"),
        ("test", "accuracy_under_shift", "moved", "needs a test split, and the run has none"),
        ("test", "seed_spread", "", "needs a test split, and the run has none"),
        ("shifts", "accuracy_under_shift", "", "needs a shift to compare with test, and the run"),
        ("history", "example_forgetting", "", "the run has no history"),
        ("recipe", "random_label_fit", "", "the run has no recipe"),
        ("groups", "worst_group_error", "moved", "split 'moved' has no groups"),
        ("targets", "calibration_error", "half", "split 'half' has no targets"),
    ],
)
def test_what_is_missing_is_said(classes, evidence, measure, split, reason):
    found = reasons(without(classes)[evidence])
    assert reason in found[measure, split]


def test_other_splits_are_read_where_one_lacks_something(classes):
    shifts = {**classes.shifts, "moved": Split(classes.shifts["moved"].table)}
    found = reasons(replace(classes, shifts=shifts))
    assert found["calibration_error", "moved"] == "split 'moved' has no targets"
    assert found["calibration_error", "half"] == ""
    assert found["contamination", "moved"] == ""  # unlabeled data can be looked at
    assert found["distance_error", ""] == ""


def test_nothing_but_train_leaves_little(classes):
    only_train = replace(classes, test=None, shifts={})
    found = reasons(only_train)
    assert found["calibration_error", ""] == "needs a test split, and the run has none"
    reason = "needs a test split or a shift for the predictions, and the run has neither"
    assert found["distance_error", ""] == reason
    assert found["neural_collapse", ""] == ""


@pytest.mark.parametrize("task", ["regression", "reconstruction", "tokens"])
def test_a_measure_of_another_task_says_so(task):
    found = reasons(getattr(tiny, task)())
    assert found["calibration_error", "test"] == f"is about classification, and this is {task}"
    assert found["generalization_gap", "test"] == ""


def test_tokens_have_no_distance_and_programs_no_layers(classes):
    assert (
        "no Euclidean distance"
        in reasons(replace(tiny.tokens(), domain=_tokens()))["contamination", "test"]
    )
    found = reasons(tiny.exported())
    for name in ("effective_rank", "train_feature_distance"):
        assert "exported program" in found[name, "test"]
    assert "no linear layer" in found["neural_collapse", ""]


def _tokens():
    from offmap.run import Domain

    return Domain((8,), torch.int64, 0, None, "tokens")


def test_features_of_a_layer_that_is_set_need_no_linear_one():
    model = nn.Sequential(nn.Conv1d(1, 2, 1), nn.Flatten())
    run = TrainingRun(model, test=Split(torch.randn(5, 1, 4)))
    assert "shows no linear layer" in missing(run, "features", "test")
    set_run = replace(run, feature_layer="1")
    assert missing(set_run, "features", "test") == ""
    assert "no linear head" in missing(set_run, "head", "")


@pytest.mark.parametrize(
    ("word", "split", "splits"),
    [
        ("predictions", "moved", ("moved",)),
        ("train_features", "moved", ("train",)),
        ("test_predictions", "moved", ("test",)),
        ("all_predictions", "", ("test", "moved", "half")),
        ("split", "test", ("test",)),
        ("groups", "half", ("half",)),
        ("model", "test", ()),
        ("train", "test", ()),
        ("history", "", ()),
    ],
)
def test_the_splits_from_which_a_word_is_made(classes, word, split, splits):
    assert splits_of(classes, word, split) == splits


def test_all_is_all_that_have_it(classes):
    shifts = {**classes.shifts, "half": Split(classes.shifts["half"].table)}
    run = replace(classes, shifts=shifts)
    assert splits_of(run, "all_predictions", "") == ("test", "moved")
    assert splits_of(run, "all_features", "") == ("test", "moved", "half")
    assert splits_of(run, "all_groups", "") == ("test", "moved")
    unlabeled = replace(classes, test=Split(classes.test.table))
    assert splits_of(unlabeled, "all_predictions", "") == ("moved", "half")
    assert missing(unlabeled, "all_predictions", "") == ""


# ----------------------------------------------------------------------------------------- the plan


def test_a_plan_counts_what_runs_and_what_is_shared():
    plan = Plan(
        (
            Planned("a", "geometry", "test", "forward", seconds=2.0),
            Planned(
                "b", "geometry", "test", "retrain", seconds=99.0, reason="the run has no recipe"
            ),
        ),
        (Shared("forward pass on test", "test", 0.5, 10),),
    )
    assert [item.measure for item in plan.runs] == ["a"]
    assert [item.measure for item in plan.left_out] == ["b"]
    assert plan.seconds == 2.5
