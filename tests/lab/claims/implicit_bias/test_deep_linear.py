from itertools import islice

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from torch import nn

from offmap.lab.claims.implicit_bias.deep_linear import (
    Layers,
    descend,
    half_time,
    sigmoid,
    strengths_of,
    target,
)


def test_target_has_the_singular_values(generator):
    modes = target((4.0, 2.0, 1.0), 5, 7, generator)
    np.testing.assert_allclose(torch.linalg.svdvals(modes.matrix)[:3], [4, 2, 1])


def test_sigmoid_solves_its_equation():
    strength, start = torch.tensor([3.0, 1.5]).double(), torch.tensor([1e-3, 0.1]).double()
    times = torch.linspace(0, 4, 9).double()
    found = solve_ivp(
        lambda _, u: 2 * u * (strength.numpy() - u), (0, 4), start.numpy(), t_eval=times.numpy(),
        rtol=1e-10, atol=1e-12,
    )  # fmt: skip
    np.testing.assert_allclose(sigmoid(strength, start, times), found.y.T, rtol=1e-6)


def test_half_time_is_where_the_sigmoid_has_half_its_strength():
    strength, start = torch.tensor([3.0]).double(), torch.tensor([1e-3]).double()
    half = half_time(strength, start)
    assert sigmoid(strength, start, half).item() == pytest.approx(1.5)


def test_descent_is_that_of_autograd_on_whitened_inputs(generator):
    """A network of two nn.Linear, trained by SGD on 40 examples whose second moment is one."""
    modes = target((2.0, 1.0), 3, 4, generator)
    x = torch.linalg.qr(torch.randn(40, 4, generator=generator, dtype=torch.double)).Q * 40**0.5
    model = nn.Sequential(nn.Linear(4, 5, bias=False), nn.Linear(5, 3, bias=False)).double()
    start = Layers(model[0].weight.detach().clone(), model[1].weight.detach().clone())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for layers in islice(descend(modes.matrix, start, 0.01), 20):
        torch.testing.assert_close(layers.first, model[0].weight.detach())
        torch.testing.assert_close(layers.second, model[1].weight.detach())
        optimizer.zero_grad()
        (0.5 * (model(x) - x @ modes.matrix.mT).square().sum(dim=1).mean()).backward()
        optimizer.step()


def test_strengths_are_read_in_the_frame_of_the_target(generator):
    modes = target((2.0, 1.0), 3, 4, generator)
    layers = Layers(torch.eye(4).double(), modes.matrix)
    torch.testing.assert_close(strengths_of(modes, layers), modes.strength)
