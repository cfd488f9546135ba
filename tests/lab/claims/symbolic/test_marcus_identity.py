import torch
from torch import nn

from offmap.lab.claims.symbolic.identity import binary, copied, numbers, recipe
from offmap.lab.claims.symbolic.networks import again, first_layer, sources
from offmap.lab.run import find
from offmap.run import Split
from offmap.train import ensemble_trainer


def test_smoke_verdict():
    finding = find(["marcus_identity"], scale="smoke")[0]
    assert finding.verdict == "supported"
    change = finding.parts["largest change of the last place's weights, 10 places"]
    assert change.low == change.high == 0.0
    assert finding.parts["odd but for the last place, 10 places"].low > 0.95


def test_numbers_are_written_as_python_writes_them(generator):
    shown, even, odd = numbers(6, generator=generator)
    assert len(shown) == 3
    assert sorted(torch.cat([shown, even, odd]).tolist()) == list(range(64))
    assert not shown.remainder(2).any() and not even.remainder(2).any() and odd.remainder(2).all()
    for value, row in zip(odd, binary(odd, 6), strict=True):
        assert "".join(str(int(bit)) for bit in row) == f"{value:06b}"


def test_copied_counts_numbers_that_are_right_in_every_place():
    inputs = binary(torch.arange(4), 2)
    assert copied([nn.Identity()], inputs, inputs) == 1
    wrong = inputs.clone()
    wrong[0, 1] = wrong[3, 0] = wrong[3, 1] = 0.5
    assert copied([nn.Identity(), nn.Identity()], wrong, inputs) == 0.75
    assert copied([nn.Identity()], 0.7 * inputs, inputs, above=0.8) == 0.25


def test_generators_go_on_as_those_they_were_taken_from(generator):
    seeds = sources(3, generator)
    copies = again(seeds)
    draws = [torch.rand(2, generator=one).tolist() for one in copies]
    assert draws == [torch.rand(2, generator=one).tolist() for one in seeds]
    assert draws[0] != draws[1]


def test_shown_all_numbers_a_network_copies_odd_ones(generator):
    """The control: nothing but the choice of what is shown is in the way."""
    order = torch.randperm(256, generator=generator)
    shown, others = binary(order[:64], 8), order[64:]
    seeds = sources(1, generator)
    before = ensemble_trainer(recipe(8, 0))(Split(shown, shown), again(seeds))
    after = ensemble_trainer(recipe(8, 150))(Split(shown, shown), seeds)
    odd = binary(others[others % 2 == 1], 8)
    assert copied(after, odd, odd) > 0.9
    moved = (first_layer(after[0]).weight - first_layer(before[0]).weight)[:, -1]
    assert moved.abs().max().item() > 0.01
