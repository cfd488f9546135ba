"""Tuned, both optimizers do as well; untuned, they do not."""

from functools import partial

import torch
from torch.optim import SGD

from offmap.lab.claims.capacity import tuned_optimizers_agree as module
from offmap.lab.claims.capacity.arms import draw
from offmap.lab.run import find

SMALL = {
    "n": 60, "repeats": 2, "width": 32, "epochs": 20, "batch_size": 30, "paces": (0.3, 1.0),
}  # fmt: skip


def test_supported_at_smoke():
    assert find(["tuned_optimizers_agree"], scale="smoke")[0].verdict == "supported"


def test_fails_where_one_of_them_is_not_tuned(monkeypatch, generator):
    monkeypatch.setitem(module.RULES, "gradient descent", partial(SGD, lr=1e-4))
    assert module.tuned_optimizers_agree(generator=generator, **SMALL).effect < -0.1


def test_the_rate_is_not_chosen_on_what_is_tested(generator):
    problem = draw(10, 1, generator=generator)
    chosen, tested = module.part_of(problem, 0), module.part_of(problem, 1)
    assert len(chosen.test_inputs) == 200
    assert torch.equal(torch.cat([chosen.test_inputs, tested.test_inputs]), problem.test_inputs)
    assert torch.equal(torch.cat([chosen.test_targets, tested.test_targets]), problem.test_targets)


def test_a_rule_against_itself_differs_by_nothing(monkeypatch, generator):
    monkeypatch.setitem(module.RULES, "gradient descent", module.RULES["Adam"])
    assert abs(module.tuned_optimizers_agree(generator=generator, **SMALL).effect) < 0.005
