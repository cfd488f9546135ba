import numpy as np
import pytest
import torch

from offmap.lab.claims.capacity.double_descent_epoch import (
    descend,
    law_of,
    make,
    turning_points,
)
from offmap.lab.claims.capacity.least_squares import deviation
from offmap.lab.run import find


def test_verdict():
    found = find(["double_descent_epoch"], scale="smoke")[0]
    assert found.verdict == "supported"
    valley, hill = (
        found.parts[f"risk at the {at}"].value for at in ("first valley", "hill between")
    )
    assert hill > 1.1 * valley


def test_design_has_orthogonal_columns(generator):
    world = make(2, 0.2, generator)
    second = world.inputs.mT @ world.inputs / len(world.inputs)
    torch.testing.assert_close(second, torch.diag(world.scales**2))


def test_descent_is_that_of_autograd(generator):
    """A slow twin: one draw, the gradient of the mean squared error by autograd."""
    world = make(1, 0.3, generator)
    state = generator.get_state()
    rate, times = torch.full_like(world.scales, 0.05), torch.tensor([0, 1, 7, 40])
    risks = descend(world, rate, times, 1, generator)
    generator.set_state(state)
    n = len(world.inputs)
    noise = world.noise * torch.randn(n, 1, generator=generator, dtype=torch.double)[:, 0]
    targets, fit = world.inputs @ world.truth + noise, torch.zeros_like(world.truth)
    for step in range(41):
        if step in times:
            error = (world.inputs @ (fit - world.truth)).square().mean()
            expected = risks[times == step].item()
            assert error.item() == pytest.approx(expected)
        fit.requires_grad_()
        loss = (world.inputs @ fit - targets).square().mean() / 2
        fit = (fit - 0.05 * torch.autograd.grad(loss, fit)[0]).detach()


def test_valleys_and_hill_are_where_the_calculus_puts_them(generator):
    """Far apart, the groups do not meet: the risks are S N / (S + N) of the one that moves."""
    world = make(1, 0.01, generator)
    law = law_of(world, torch.full_like(world.scales, 0.05), torch.arange(0, 1_000_000, 2))
    first, hill, second = turning_points(law)
    np.testing.assert_allclose(law[[0, first, hill, second]], [2.0, 1.5, 2.0, 1.1], rtol=2e-3)


def test_control_the_law_of_another_rate_is_told_apart(generator):
    world, times = make(2, 0.2, generator), torch.tensor([2, 15, 68, 400])
    rate = torch.full_like(world.scales, 0.05)
    risks = descend(world, rate, times, 300, generator)
    assert deviation(risks, law_of(world, rate, times)).abs().max() < 4
    assert deviation(risks, law_of(world, 1.2 * rate, times)).abs().max() > 4


def test_control_with_one_scale_there_is_one_valley(generator):
    world = make(2, 1.0, generator)
    law = law_of(world, torch.full_like(world.scales, 0.05), torch.arange(400))
    assert len(turning_points(law)) == 1
