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


def test_targets_that_are_not_orthogonal_break_the_law():
    """The control: with one target twice, the variance is another."""
    generator = torch.Generator().manual_seed(5)
    seen, law, slope = _variances(3, 4, generator)
    assert abs(law / (4 * slope / 2**3) - 1) > 1e-3  # the term of the mean counts at small n
    assert flat({"a": torch.ones(2, 3), "b": torch.ones(2, 1, 2)}).shape == (2, 5)
    assert seen > 0
