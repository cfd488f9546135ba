from math import ulp

import torch
from torch.nn.functional import mse_loss

from offmap.lab.claims.symbolic.frozen_offspan import OPTIMIZERS
from offmap.lab.run import find
from offmap.models.mlp import MLP


def test_smoke_verdict():
    finding = find(["frozen_offspan"], scale="smoke")[0]
    assert finding.verdict == "supported"
    assert all(trial.effect == 0.0 for trial in finding.finished)
    assert finding.parts["largest change of another weight"].low > 0.01


def test_only_zero_is_on_the_right_side_of_the_line():
    line = find(["frozen_offspan"], scale="smoke", seeds=1)[0].statement.below
    assert line == ulp(0.0) and line > 0.0 and torch.tensor(line).double() / 2 == 0.0


def test_the_gradient_is_the_sum_that_the_docstring_says(generator):
    """Written out for one hidden layer by hand, and zero where inputs are."""
    x = torch.randn(7, 4, generator=generator, dtype=torch.double)
    x[:, 2] = 0
    y = torch.randn(7, 1, generator=generator, dtype=torch.double)
    net = MLP(4, (5,), 1).double()
    loss = mse_loss(net(x), y)
    weight = net.body[1].weight
    (gradient,) = torch.autograd.grad(loss, weight)
    with torch.no_grad():
        delta = 2 / 7 * (net(x) - y) @ net.head.weight * (net.body(x) > 0)
    torch.testing.assert_close(gradient, delta.T @ x)
    assert bool((gradient[:, 2] == 0).all()) and bool((gradient[:, 3] != 0).any())


def test_one_example_that_is_not_zero_is_enough_to_move_the_weights(generator):
    x = torch.zeros(8, 3, dtype=torch.double)
    x[0, 2] = 1e-3
    for optimizer in OPTIMIZERS.values():
        net = MLP(3, (16,), 1).double()
        before = net.body[1].weight.detach().clone()
        stepper = optimizer(net.parameters())
        for _ in range(5):
            stepper.zero_grad()
            mse_loss(net(x), torch.ones(8, 1, dtype=torch.double)).backward()
            stepper.step()
        moved = (net.body[1].weight.detach() - before).abs().amax(dim=0)
        assert moved[2] > 0 and moved[0] == moved[1] == 0
