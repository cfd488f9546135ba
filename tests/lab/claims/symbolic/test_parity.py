import torch
from torch import nn

from offmap.lab.claims.symbolic.parities import right, strings
from offmap.lab.claims.symbolic.parities_trained import fresh_and_shown
from offmap.lab.run import find


def test_smoke_verdict():
    finding = find(["parity"], scale="smoke")[0]
    assert finding.verdict == "supported"
    assert finding.parts["accuracy on what is shown"].low > 0.95
    assert finding.parts["two places, not shown"].low > 0.95  # the control


def test_fresh_strings_were_not_shown(generator):
    fresh, x = fresh_and_shown(100, 8, generator=generator)
    rows = {tuple(row) for row in x.tolist()}
    assert not rows & {tuple(row) for row in fresh.tolist()}
    assert len(rows) + len({tuple(row) for row in fresh.tolist()}) == 2**8


def test_accuracies_of_networks_that_know_the_parity_or_its_opposite(generator):
    class Product(nn.Module):
        def forward(self, x):
            return x[:, :3].prod(dim=1, keepdim=True)

    x = strings(500, 6, generator=generator)
    assert set(x.unique().tolist()) == {-1.0, 1.0}
    assert right(Product(), x, torch.tensor([0, 1, 2])) == 1
    opposite = x.clone()
    opposite[:, 5] = -1
    assert right(Product(), opposite, torch.tensor([0, 1, 2, 5])) == 0
