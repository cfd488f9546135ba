"""Slopes and distances, against offmap's own measure, and against exact distances."""

import torch
from torch import nn

from offmap.lab.claims.capacity.smoothness import smoothness
from offmap.lab.claims.capacity.training import Networks
from offmap.measures.continuity.input_jacobian import jacobian_norms
from offmap.run import Split


def networks(*models: nn.Sequential) -> Networks:
    linears = [[layer for layer in model if isinstance(layer, nn.Linear)] for model in models]
    layers = [
        (
            torch.stack([layer.weight.detach().T for layer in same]),
            torch.stack([layer.bias.detach()[None] for layer in same]),
        )
        for same in zip(*linears, strict=True)
    ]
    none = torch.zeros(1, len(models), 1)
    return Networks(layers, none, none, arms=len(models))


def mlp(generator: torch.Generator) -> nn.Sequential:
    model = nn.Sequential(nn.Linear(4, 9), nn.ReLU(), nn.Linear(9, 8), nn.ReLU(), nn.Linear(8, 3))
    for weight in model.parameters():
        weight.data = torch.randn(weight.shape, generator=generator)
    return model.eval()


def test_slope_is_that_of_the_measure(generator):
    inputs = torch.randn(20, 4, generator=generator)
    models = [mlp(generator) for _ in range(3)]
    found = smoothness(networks(*models), inputs)
    for model, slope in zip(models, found.slope, strict=True):
        norms = jacobian_norms(model, Split(inputs), generator=generator)[:, 0]
        torch.testing.assert_close(slope[0].double(), norms.mean(), rtol=1e-4, atol=0)


def test_distance_of_a_linear_network_is_exact(generator):
    """Stepping that far towards another class makes a tie, and less far does not."""
    inputs = torch.randn(1, 4, generator=generator)
    model = nn.Sequential(nn.Linear(4, 3))
    for weight in model.parameters():
        weight.data = torch.randn(weight.shape, generator=generator)
    distance = smoothness(networks(model), inputs).distance.item()
    directions = torch.nn.functional.normalize(torch.randn(200_000, 4, generator=generator), dim=1)
    mine = model(inputs).argmax()
    assert (model(inputs + 0.999 * distance * directions).argmax(dim=1) == mine).all()
    assert (model(inputs + 1.1 * distance * directions).argmax(dim=1) != mine).any()


def test_distance_stays_when_scores_are_multiplied_and_slope_does_not(generator):
    inputs = torch.randn(15, 4, generator=generator)
    model, larger = mlp(generator), mlp(generator)
    larger.load_state_dict(model.state_dict())
    larger[-1].weight.data *= 5
    larger[-1].bias.data *= 5
    found = smoothness(networks(model, larger), inputs)
    torch.testing.assert_close(found.distance[0], found.distance[1], rtol=1e-4, atol=0)
    torch.testing.assert_close(5 * found.slope[0], found.slope[1], rtol=1e-4, atol=0)
