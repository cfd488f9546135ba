import torch
from torch.nn.functional import mse_loss

from offmap.lab.claims.symbolic.parities import all_strings
from offmap.lab.claims.symbolic.parity_gradient import _variances, flat
from offmap.lab.run import find
from offmap.models.mlp import MLP


def test_smoke_verdict():
    assert find(["parity_gradient"], scale="smoke")[0].verdict == "supported"


def test_all_strings_are_all_of_them_ones_first():
    x = all_strings(4)
    assert len({tuple(row) for row in x.tolist()}) == 16
    assert torch.equal(x[0], torch.ones(4))


def test_the_variance_is_what_a_loop_over_parities_gives():
    net = MLP(3, (4,), 1).double()
    x, rows = all_strings(3).double(), []
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for w in net.parameters():
            w.copy_(torch.randn(w.shape, generator=generator, dtype=torch.double))
    for of in range(8):
        chosen = torch.tensor([of >> i & 1 for i in range(3)]) > 0
        loss = mse_loss(net(x)[:, 0], x[:, chosen].prod(dim=1))
        grads = torch.autograd.grad(loss, list(net.parameters()))
        rows.append(torch.cat([part.flatten() for part in grads]))
    by_hand = torch.stack(rows).var(dim=0, correction=0).sum().item()
    seen, law, _ = _variances(3, 4, torch.Generator().manual_seed(5))
    assert abs(seen / by_hand - 1) < 1e-12 and abs(law / by_hand - 1) < 1e-12


def test_parities_of_single_places_alone_vary_by_more(generator):
    """The control: the law is of all parities together, not of any family of targets."""
    net, x = MLP(3, (4,), 1).double(), all_strings(3).double()
    rows = []
    for place in range(3):
        loss = mse_loss(net(x)[:, 0], x[:, place])
        rows.append(torch.cat([p.flatten() for p in torch.autograd.grad(loss, net.parameters())]))
    seen = torch.stack(rows).var(dim=0, correction=0).sum()
    slopes = torch.stack(
        [
            torch.cat(
                [p.flatten() for p in torch.autograd.grad(net(row[None])[0, 0], net.parameters())]
            )
            for row in x
        ]
    )
    square = slopes.square().sum(dim=1)
    law = 4 * (square.mean() / 8 - square[0] / 64)
    assert abs(seen / law - 1) > 0.1


def test_gradients_become_rows():
    rows = flat({"a": torch.ones(2, 3).double(), "b": torch.ones(2, 1, 2).double()})
    assert rows.shape == (2, 5)
