"""Answers in words: the reason, the element, the neighbors; one bad input spoils only itself."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from offmap.attempt import InputError
from offmap.guard.answer import drifted
from offmap.guard.fit import fit_guard
from offmap.guard.guard import Guard
from offmap.guard.ruler import Ruler
from offmap.passes import BATCH
from offmap.run import Split

from . import worlds


def test_it_says_what_the_verdict_says(digits_guard, fresh_digits):
    noise = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    inputs = torch.cat([fresh_digits.inputs[:40], noise])
    verdict = digits_guard(inputs)
    for place, answer in enumerate(digits_guard.answer(inputs)):
        assert answer.accepted == bool(verdict.accepted[place])
        assert answer.prediction == int(verdict.prediction[place])
        assert answer.label == str(answer.prediction)
        assert answer.p_value == pytest.approx(verdict.p_value[place].item(), abs=1e-5)
        assert answer.model_version == digits_guard.facts.fingerprints["weights"][:12]
        assert answer.accepted == (answer.reason == "accepted")


def test_neighbors_are_the_nearest_training_examples(digits_run, digits_guard, fresh_digits):
    """Against all distances between features, in float64."""
    features = {}
    head = digits_guard.sight.head
    hook = head.register_forward_pre_hook(lambda _, given: features.update(seen=given[0]))
    digits_guard.sight.model(digits_run.train.inputs)
    known = features["seen"].double()
    digits_guard.sight.model(fresh_digits.inputs[:10])
    hook.remove()
    distance = torch.cdist(features["seen"].double(), known)
    nearest = distance.topk(5, largest=False)
    for place, answer in enumerate(digits_guard.answer(fresh_digits.inputs[:10])):
        assert [one.row for one in answer.neighbors] == nearest.indices[place].tolist()
        assert [one.distance for one in answer.neighbors] == pytest.approx(
            nearest.values[place].tolist(), rel=1e-4
        )
        rows = [one.row for one in answer.neighbors]
        assert [one.target for one in answer.neighbors] == digits_run.train.targets[rows].tolist()
        assert [one.label for one in answer.neighbors] == [str(n.target) for n in answer.neighbors]


def test_a_training_example_is_its_own_nearest(digits_run, digits_guard):
    answers = digits_guard.answer(digits_run.train.inputs[[3, 77]])
    assert [answer.neighbors[0].row for answer in answers] == [3, 77]
    assert max(answer.neighbors[0].distance for answer in answers) < 1e-4


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({(0, 2, 5): torch.nan}, r"element [0, 2, 5] is nan: expected finite numbers from 0 to 1"),
        ({(0, 0, 0): 1.5}, "element [0, 0, 0] is 1.5: expected finite numbers from 0 to 1"),
        ({(0, 1, 1): -1, (0, 7, 7): torch.inf}, "element [0, 1, 1] is -1, and 1 more: expected"),
    ],
)
def test_a_broken_contract_names_the_element(change, said, digits_guard, fresh_digits):
    inputs = fresh_digits.inputs[:3].clone()
    for place, value in change.items():
        inputs[(1, *place)] = value
    one, broken, other = digits_guard.answer(inputs)
    assert broken.detail.startswith(said)
    assert broken.reason == "contract"
    assert (broken.prediction, broken.label, broken.p_value, broken.score) == (None,) * 4
    assert broken.neighbors == ()
    assert [one, other] == digits_guard.answer(inputs[[0, 2]])


def test_a_range_that_is_open_is_named_so(generator):
    guard = fit_guard(
        worlds.network(), worlds.drawn(60, generator), worlds.drawn(100, generator), score="energy"
    )
    assert guard.answer(torch.tensor([[torch.nan]]))[0].detail == (
        "element [0] is nan: expected finite numbers from -infinity to infinity"
    )


def test_inputs_of_another_shape_or_type_spoil_only_themselves(digits_guard, fresh_digits):
    good = fresh_digits.inputs[0]
    given = [good, good[0], good.double(), torch.zeros(3, 8, 8), good]
    answers = digits_guard.answer(given)
    assert [answers[0], answers[4]] == digits_guard.answer([good, good])
    assert [answer.reason for answer in answers[1:4]] == ["contract"] * 3
    assert answers[1].detail == "expected shape (1, 8, 8), got (8, 8)"
    assert answers[2].detail == "expected torch.float32, got torch.float64"
    assert answers[3].detail == "expected shape (1, 8, 8), got (3, 8, 8)"


def test_no_inputs_are_refused(digits_guard, fresh_digits):
    for none in ([], fresh_digits.inputs[:0]):
        with pytest.raises(InputError, match="expected at least one input, got a batch of none"):
            digits_guard.answer(none)


def test_more_inputs_than_a_batch_are_answered_in_order(digits_run, digits_guard):
    inputs = digits_run.train.inputs[: 2 * BATCH + 3]
    answers = digits_guard.answer(inputs)
    assert [answer.neighbors[0].row for answer in answers] == list(range(2 * BATCH + 3))


def test_each_reason_has_its_sentence(digits_guard, fresh_digits):
    asked = fresh_digits.inputs[:1]
    line = torch.tensor([[-1e9, 1e9]], dtype=torch.double)

    def guard(score, dispute, sure):
        rulers = [
            Ruler(part.score, line, torch.full((1, 2), p, dtype=torch.double), part.rate)
            for part, p in ((digits_guard.ruler, score), (digits_guard.dispute, dispute))
        ]
        return Guard(
            digits_guard.sight, rulers[0], digits_guard.facts, digits_guard.atlas,
            sure=sure, dispute=rulers[1],
        )  # fmt: skip

    def said(*settings):
        (answer,) = guard(*settings).answer(asked)
        return answer.reason, answer.detail

    row = digits_guard.answer(asked)[0].neighbors[0].row
    reason, detail = said(0.02, 1.0, None)
    assert reason == "off_map"
    assert detail.startswith(
        "stranger than 98.0 % of familiar inputs by energy + feature_neighbors (p = 0.02, refused "
        f"up to 0.1); nearest training example: row {row} ("
    )
    reason, detail = said(1.0, 1.0, 1.0)
    assert reason == "uncertain"
    assert "than the probability 2.718 from which on answers err in at most 10 % of" in detail
    reason, detail = said(1.0, 0.01, None)
    assert reason == "disputed"
    assert "its nearest training examples say" in detail
    reason, detail = said(0.5, 1.0, None)
    assert reason == "accepted"
    assert detail.startswith("looks like training data (p = 0.5); nearest training example: row")


def test_drift_refuses_what_was_accepted_and_nothing_else(digits_guard, fresh_digits):
    inputs = torch.cat([fresh_digits.inputs[:30], torch.full((1, 1, 8, 8), torch.nan)])
    answers = digits_guard.answer(inputs)
    good = next(answer for answer in answers if answer.accepted)
    assert drifted(good, "traffic left the map") == replace(
        good, accepted=False, reason="drift", detail="traffic left the map"
    )
    assert drifted(answers[-1], "traffic left the map") == answers[-1]


def test_classes_without_names_go_by_their_numbers(generator):
    train, calibration = worlds.drawn(60, generator), worlds.drawn(100, generator)
    guard = fit_guard(worlds.network(), train, calibration, score="energy")
    answer = guard.answer(torch.tensor([[2.0]]))[0]
    assert (answer.prediction, answer.label) == (0, "0")
    assert answer.score is not None and math.isfinite(answer.score)


def test_a_network_without_features_is_compared_by_its_inputs(generator):
    class Plain(nn.Module):
        def forward(self, inputs):
            return torch.stack([inputs.sum(dim=1), -inputs.sum(dim=1)], dim=1)

    inputs = torch.randn(200, 3, generator=generator)
    train = Split(inputs[:80], (inputs[:80, 0] > 0).long())
    guard = fit_guard(Plain(), train, Split(inputs[80:]), score="energy", neighbors=2)
    first = guard.answer(inputs[80:81])[0].neighbors[0]
    distance = (inputs[:80] - inputs[80]).norm(dim=1)
    assert first.row == int(distance.argmin())
    assert first.distance == pytest.approx(distance.min().item(), rel=1e-5)
    assert not guard.atlas.by_features
