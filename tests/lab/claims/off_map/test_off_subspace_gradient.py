import pytest
import torch
from torch import nn

from offmap.lab.claims.capacity.least_squares import deviation
from offmap.lab.claims.off_map.off_subspace_gradient import gradients, look
from offmap.lab.claims.off_map.subspace import train, world
from offmap.lab.run import find
from offmap.models.mlp import MLP


def test_verdict():
    found = find(["off_subspace_gradient"], scale="smoke")[0]
    assert found.verdict == "supported"
    assert found.parts["squared length / law, Adam"].low > 1.2  # control: another optimizer


def test_gradients_are_those_of_finite_differences(generator):
    model = MLP(6, (5, 4), 2)
    first, points = model.body[1], torch.randn(3, 6, generator=generator)
    by_input, by_layer = gradients(model, first, points)
    torch.testing.assert_close(by_input, by_layer @ first.weight)
    step = torch.zeros(6)
    step[2] = 1e-2
    ends = [model(points + sign * step).diff(dim=1)[:, 0] for sign in (1, -1)]
    slope = (ends[0] - ends[1]) / 2e-2
    torch.testing.assert_close(by_input[:, 2], slope.detach(), atol=1e-2, rtol=0.05)


def test_law_holds_for_networks_as_drawn(generator):
    """No training: the ratio has the mean one by the variance of the weights alone."""
    worlds = [world(3, 20, generator) for _ in range(150)]
    models = train(worlds, [8] * 150, 16, 0, "SGD", generator)
    ratios = torch.tensor([[
        look(model, place, generator)[0] for model, place in zip(models, worlds, strict=True)
    ]]).double()  # fmt: skip
    assert deviation(ratios, torch.ones(1).double()).abs() < 4
    assert deviation(ratios, torch.tensor([1.3]).double()).abs() > 4


def test_control_weights_without_a_part_off_the_subspace_have_no_gradient_there(generator):
    """The remedy: project the first weights, and no attack has anything to hold on to."""
    place = world(3, 20, generator)
    model = train([place], [64], 16, 20, "SGD", generator)[0]
    first = next(module for module in model.modules() if isinstance(module, nn.Linear))
    with torch.no_grad():
        first.weight.copy_(place.along(first.weight))
    ratio, share = look(model, place, generator)
    assert ratio == pytest.approx(0, abs=1e-9)
    assert share == pytest.approx(0, abs=1e-9)
