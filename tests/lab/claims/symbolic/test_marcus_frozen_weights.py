import torch

from offmap.lab.claim import claims
from offmap.lab.claims.symbolic.identity import binary, copied, recipe
from offmap.lab.claims.symbolic.networks import sources
from offmap.lab.run import find
from offmap.run import Split
from offmap.train import ensemble_trainer


def test_smoke_verdict():
    finding = find(["marcus_frozen_weights"], scale="smoke")[0]
    assert finding.verdict == "refuted"
    assert finding.parts["change of the last place's weights"].low > 0.1  # the premise: they learn
    assert finding.parts["even numbers right"].low > 0.9
    assert claims()["marcus_frozen_weights"].corrected in claims()


def test_where_the_last_place_varies_it_is_copied(generator):
    """The control: a quarter of all numbers, coded alike."""
    order = torch.randperm(256, generator=generator)
    shown, others = binary(order[:64], 8), binary(order[64:], 8)
    found = ensemble_trainer(recipe(8, 200))(Split(2 * shown - 1, shown), sources(1, generator))
    assert copied(found, 2 * others - 1, others) > 0.8
