"""What a guard sees of an input: answer and features, of a network that stays as it is."""

import copy
from typing import Any

import pytest
import torch
from torch import nn

from offmap.attempt import InputError
from offmap.guard.seeing import Sight, known, scores_of, views
from offmap.run import Split
from offmap.score import FittedScore, Score
from offmap.scores.energy import energy


def test_features_are_what_the_head_reads(digits_run, fresh_digits):
    sight: Any = Sight(digits_run.model, "head", classifies=True)
    with torch.no_grad():
        out, seen = sight.look(fresh_digits.inputs)
        assert torch.equal(out, digits_run.model.eval()(fresh_digits.inputs))
        assert torch.equal(sight.head(seen.features), out)
    assert seen.logits is out
    assert torch.equal(seen.inputs, fresh_digits.inputs)
    assert torch.equal(sight.head.weight, digits_run.model.head.weight)


def test_without_a_layer_there_are_no_features(digits_run, fresh_digits):
    sight: Any = Sight(digits_run.model, None, classifies=False)
    seen = sight(fresh_digits.inputs)
    assert seen.features is None
    assert seen.logits is None
    assert sight.head is None


def test_a_network_that_works_in_place_leaves_the_inputs_alone():
    """The caller's, those that scores see, and those whose gradient an attack asks for."""

    class Shifted(nn.Linear):
        def forward(self, x):
            return super().forward(x.sub_(0.5))

    model, inputs = Shifted(2, 3), torch.rand(40, 2)
    given = inputs.clone().requires_grad_()
    out, seen = Sight(model, None, classifies=True).look(given)
    out.sum().backward()
    assert torch.equal(given, inputs) and torch.equal(seen.inputs, inputs)
    assert torch.allclose(out, nn.functional.linear(inputs - 0.5, model.weight, model.bias))
    assert torch.allclose(given.grad, model.weight.sum(dim=0).expand(40, 2))


def test_features_are_caught_before_the_layer_works_in_place():
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(inplace=True), nn.Linear(3, 2))
    sight: Any = Sight(model, "1", classifies=True)
    inputs = torch.randn(40, 2)
    with torch.no_grad():
        assert torch.equal(sight(inputs).features, model[0](inputs))
        assert (sight(inputs).features < 0).any()
    assert sight.head is None  # it is not linear


class _Sometimes(nn.Module):
    """Calls its head for inputs that are not negative."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(1, 2)

    def forward(self, inputs):
        if bool((inputs < 0).any()):
            raise RuntimeError("no")
        return self.head(inputs) if bool((inputs > 1).all()) else inputs.expand(-1, 2)


def test_nothing_is_left_from_a_pass_that_failed():
    sight: Any = Sight(_Sometimes(), "head", classifies=True)
    assert sight(torch.full((3, 1), 2.0)).features.shape == (3, 1)
    assert sight(torch.full((3, 1), 0.5)).features is None
    sight.model.head.register_forward_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        sight(torch.full((3, 1), 2.0))
    assert sight(torch.full((3, 1), 0.5)).features is None


def test_a_layer_that_is_not_called_is_refused():
    sight: Any = Sight(_Sometimes(), "head", classifies=True)
    split = Split(torch.full((3, 1), 0.5), torch.zeros(3, dtype=torch.long))
    with pytest.raises(InputError, match="expected layer 'head' to be called on every pass"):
        known(sight, split, 2**20)


def test_a_layer_that_is_not_there_is_refused(digits_run):
    with pytest.raises(InputError, match="expected a layer of the model, got 'tail'"):
        Sight(digits_run.model, "tail", classifies=True)


def test_a_network_that_cannot_be_copied_is_refused():
    model: Any = nn.Linear(1, 2)
    model.stream = (number for number in range(3))
    with pytest.raises(InputError, match=r"expected a model that copy\.deepcopy can copy, got"):
        Sight(model, None, classifies=True)


def test_copies_catch_for_themselves(digits_run, fresh_digits):
    sight: Any = Sight(digits_run.model, "head", classifies=True)
    twin = copy.deepcopy(sight)
    with torch.no_grad():
        twin.model(fresh_digits.inputs)
        assert sight._catch.take() is None
        assert twin._catch.take() is not None


def test_what_is_known_is_row_by_row(digits_run):
    sight: Any = Sight(digits_run.model, "head", classifies=True)
    facts: Any = known(sight, digits_run.train, 2**28)
    with torch.no_grad():
        rows: list[Any] = [sight(batch.inputs) for batch in digits_run.train.batches(256)]
    assert torch.equal(facts.logits, torch.cat([row.logits for row in rows]))
    assert torch.equal(facts.features.table.all(), torch.cat([row.features for row in rows]))
    assert torch.equal(facts.targets, digits_run.train.targets)
    assert torch.equal(facts.head.weight, digits_run.model.head.weight)


def _known(*given: Any) -> Any:
    return known(*given)


def test_features_that_exceed_memory_go_to_a_file(digits_run):
    sight: Any = Sight(digits_run.model, "head", classifies=True)
    small, large = (_known(sight, digits_run.train, size) for size in (2**14, 2**28))
    assert type(small.features.table) is not type(large.features.table)
    assert torch.equal(small.features.table.all(), large.features.table.all())


def test_scores_of_a_split_are_in_its_order(digits_run, fresh_digits):
    assert isinstance(energy, Score)
    sight: Any = Sight(digits_run.model, "head", classifies=True)
    found = scores_of(FittedScore(energy, {}, {}), sight, fresh_digits)
    with torch.no_grad():
        seen: list[Any] = list(views(sight, fresh_digits))
        logits = torch.cat([one.logits for one in seen])
    assert torch.equal(found, -logits.double().logsumexp(dim=1))
    assert found.dtype == torch.float64
