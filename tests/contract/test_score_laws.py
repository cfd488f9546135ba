"""The suite for scores itself: a good score passes, and each law catches those who break it."""

import itertools
import random
from dataclasses import replace

import pytest
import torch
from toy_offmap.toy_score import toy_score

from offmap.catalog import scores
from offmap.measure import Paper
from offmap.score import Score, nothing, score
from offmap.testing import check_onnx, check_score, tiny
from offmap.testing.score_laws import SCORE_LAWS, ScoreTrial, explains_itself, finds_noise_strange
from offmap.testing.scores import score_worlds, try_score

CLASSES = tiny.classification()
OFFENDERS = {}  # the law that it breaks, and the score
COUNTER = itertools.count()


def scored(function, fit=nothing):
    paper = Paper("Nobody", "https://example.org/")
    return score(fit=fit, says="Something.", caution="All of it.", paper=paper)(function)


def breaks(law, fit=nothing):
    def wrap(function):
        OFFENDERS[function.__name__] = (law, scored(function, fit))
        return function

    return wrap


@breaks("gives_finite_numbers")
def overflows(features, /):
    length = features.norm(dim=1)
    return length.where(length < 100, torch.inf)


@breaks("tells_rows_apart")
def sees_no_difference(features, /):
    return features.sum(dim=1) * 0


@breaks("judges_each_row_alone")
def compares_rows_of_a_batch(features, /):
    return (features - features.mean(dim=0)).norm(dim=1)


@breaks("repeats_itself", fit=lambda known: {"number": torch.tensor([next(COUNTER)])})
def counts_its_fits(features, /, number):
    return features.norm(dim=1)


@breaks("ignores_the_order_of_training", fit=lambda known: {"first": known.features.values[0]})
def looks_at_the_first_row(features, /, first):
    return (features - first + 1e-6).norm(dim=1)


@breaks("is_its_state")
def has_a_setting_that_no_file_holds(features, /, *, kinds=frozenset("ab")):
    return features.norm(dim=1)


@breaks("exports")
def branches_on_values(features, /):
    return features.norm(dim=1) if bool((features.sum() != 0).item()) else features.sum(dim=1)


@breaks("has_finite_slopes")
def takes_the_root_of_zero(features, /):
    return (features * features).sqrt().sum(dim=1)


def _writes(known):
    known.logits.add_(0.25)
    return {}


@breaks("leaves_no_trace", fit=_writes)
def writes_into_training_logits(features, /):
    return features.norm(dim=1)


def _draws(known):
    torch.rand(1)
    random.random()
    return {}


@breaks("leaves_no_trace", fit=_draws)
def draws_from_the_global_random_state(features, /):
    return features.norm(dim=1)


def tried(unit: Score) -> ScoreTrial:
    trial = try_score(unit, CLASSES)
    assert isinstance(trial, ScoreTrial)
    return trial


def test_a_good_score_of_somebody_else_passes():
    check_score(toy_score)
    check_onnx([toy_score])


@pytest.mark.parametrize("name", OFFENDERS)
def test_each_offender_breaks_its_law_and_no_other(name):
    law, unit = OFFENDERS[name]
    trial = tried(unit)
    assert [each.__name__ for each in SCORE_LAWS if list(each(trial))] == [law]


def test_every_law_has_an_offender():
    assert {law for law, _ in OFFENDERS.values()} == {law.__name__ for law in SCORE_LAWS}


def test_a_broken_law_is_an_assertion_that_names_score_and_world():
    with pytest.raises(
        AssertionError, match=r"overflows:\n(- .*\n)*- classification: far noise: exp"
    ):
        check_score(OFFENDERS["overflows"][1])


def test_an_error_in_a_law_is_a_complaint():
    """As where a score takes no batch of one row."""

    def needs_two_rows(features, /):
        return (features[0] * 0 + features[1] * 0 + features).norm(dim=1)

    with pytest.raises(AssertionError, match="judges_each_row_alone: expected it to be computed"):
        check_score(scored(needs_two_rows))


def test_an_error_in_a_fit_is_no_refusal():
    def divides(known):
        return {"one": torch.tensor(1 // 0)}

    def never(features, /, one):
        return features

    with pytest.raises(AssertionError, match=r"expected a fit or a reason, got\nTraceback"):
        check_score(scored(never, divides))


def test_a_state_of_other_names_is_no_refusal():
    def misnamed(features, /, one):
        return features.sum(dim=1)

    with pytest.raises(AssertionError, match="expected the state one, got other"):
        check_score(scored(misnamed, lambda known: {"other": torch.ones(1)}))


def test_a_score_without_any_fit_proves_nothing():
    def refuses(known):
        raise ValueError("no room")

    def never(features, /):
        return features

    with pytest.raises(
        AssertionError, match=r"at least one run, .*reasons\n- classification: no ro"
    ):
        check_score(scored(never, refuses))


def test_what_finds_noise_familiar_says_so():
    def nearest_the_middle(features, /):
        return -features.norm(dim=1)

    unit = scored(nearest_the_middle)
    trials = [tried(unit)]
    (complaint,) = finds_noise_strange(trials)
    assert "classification: noise -" in complaint
    says = [replace(trials[0], score=replace(unit, caution="Far away all looks familiar."))]
    assert not list(finds_noise_strange(says))
    assert not list(finds_noise_strange([tried(toy_score)]))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"says": ""}, "'says'"),
        ({"caution": " "}, "'caution'"),
        ({"paper": Paper("Euclid", "http://example.org/")}, "https"),
        ({"paper": Paper("", "https://example.org/")}, "citation"),
        ({"function": lambda inputs, /: inputs}, "'summary'"),
        ({"function": lambda inputs, /: inputs}, "<lambda>.py"),
        ({"function": lambda: 1}, "to read inputs, logits or features"),
        ({"fit": lambda known, *, tile=3: {}}, "'tile'"),
    ],
)
def test_a_card_with_a_gap_is_caught(change, complaint):
    assert not list(explains_itself(toy_score))
    assert any(complaint in said for said in explains_itself(replace(toy_score, **change)))


def test_onnx_names_the_culprit(monkeypatch):
    """Of all that were exported together, by exporting each alone."""
    _, culprit = OFFENDERS["sees_no_difference"]

    def fails(module, shown, seen):
        if any(each.score is culprit for each in module.fitted):
            raise ZeroDivisionError
        return [list(module(*module.given(each))) for each in seen]

    monkeypatch.setattr("offmap.testing.scores.under_onnx", fails)
    check_onnx([toy_score])
    with pytest.raises(
        AssertionError, match=r"ONNX on c\w+:\n- sees_no_difference: ZeroDiv"
    ) as caught:
        check_onnx([toy_score, culprit])
    assert "toy_score:" not in str(caught.value)


def test_onnx_that_gives_other_numbers_is_caught(monkeypatch):
    def wrong(module, shown, seen):
        return [[values * 1.001 for values in module(*module.given(each))] for each in seen]

    monkeypatch.setattr("offmap.testing.scores.under_onnx", wrong)
    with pytest.raises(AssertionError, match="toy_score: expected the same scores of train from o"):
        check_onnx([toy_score])


def test_the_worlds_differ_in_what_they_show():
    """A regression has no logits, an exported program no features: what reads them refuses."""
    worlds = score_worlds()
    assert list(worlds) == ["classification", "vectors", "regression", "exported"]
    assert try_score(scores()["energy"], worlds["regression"]) == (
        "the network does no classification"
    )
    assert try_score(scores()["react"], worlds["exported"]) == (
        "the network has no layer that offmap can take as a head: set feature_layer"
    )
    assert not isinstance(try_score(toy_score, worlds["regression"]), str)
    assert not isinstance(try_score(scores()["energy"], worlds["exported"]), str)
