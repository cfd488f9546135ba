"""Lower bound <= exact <= upper bound, on random networks; and what each must be exactly."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from offmap.models.cnn import CNN
from offmap.models.mlp import MLP
from offmap.models.resnet import Block, ResNet
from offmap.numerics.lipschitz import (
    ascent_bound,
    bends,
    certified_radius,
    exact_bound,
    flip_distance,
    global_bound,
    jacobian_norms,
    local_bound,
    local_margin_bound,
    margin_bounds,
    read_graph,
)
from offmap.numerics.lipschitz.regions import _regions, _start

LITTLE = 1 + 1e-7


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def made(build, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_var.uniform_(0.2, 2)
                module.running_mean.normal_()
    return model.double().eval()


def dense(widths, activation, seed):
    layers = []
    for before, after in itertools.pairwise(widths[:-1]):
        layers += [nn.Linear(before, after), activation()]
    return made(lambda: nn.Sequential(*layers, nn.Linear(*widths[-2:])), seed)


def weighted(*matrices):
    """A network of given matrices, ReLU between them, no biases."""
    layers = []
    for matrix in matrices:
        layer = nn.Linear(*matrix.shape[::-1], bias=False, dtype=torch.double)
        layer.weight.data.copy_(matrix)
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1]).eval()


def points(count, *shape, seed=0, scale=1.0):
    return scale * torch.randn(count, *shape, dtype=torch.double, generator=seeded(seed))


def test_all_bounds_of_a_linear_network_are_its_norm():
    model = nn.Sequential(nn.Linear(6, 4), nn.Dropout(), nn.Flatten()).double().eval()
    truth = torch.linalg.matrix_norm(model[0].weight, 2).item()
    x = points(5, 6)
    radius = torch.tensor([0.0, 0.1, 1.0, 10.0, 1e4])
    graph = read_graph(model, x[:1])
    for found in (
        [global_bound(model, x[:1]), exact_bound(graph)],
        local_bound(model, x, radius).tolist(),
        jacobian_norms(model, x, generator=seeded()).tolist(),
        ascent_bound(model, x, radius).tolist(),
    ):
        assert found == pytest.approx([truth] * len(found), rel=1e-7)


def test_margins_of_a_linear_network_are_exact():
    model = nn.Linear(6, 4).double().eval()
    rows = model.weight.detach()
    truth = torch.cdist(rows, rows)
    found = margin_bounds(model, torch.zeros(1, 6, dtype=torch.double))
    torch.testing.assert_close(found, truth, rtol=1e-7, atol=1e-12)
    assert (found.diagonal() == 0).all()
    x = points(20, 6)
    scores = model(x).detach()
    own = scores.argmax(dim=1)
    gap = scores.gather(1, own[:, None]) - scores
    distance = (gap / truth[own]).nan_to_num(math.inf).amin(dim=1)
    limit = torch.full((20,), 10.0)
    torch.testing.assert_close(certified_radius(model, x, limit), distance, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(flip_distance(model, x), distance, rtol=1e-4, atol=1e-9)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    widths=st.sampled_from([(2, 5, 3), (1, 4, 4, 2), (2, 3, 3, 2), (3, 4, 1)]),
    activation=st.sampled_from([nn.ReLU, lambda: nn.LeakyReLU(0.3)]),
    seed=st.integers(0, 10**6),
    half=st.floats(0.05, 3),
)
def test_lower_exact_and_upper_bounds_are_in_order(widths, activation, seed, half):
    """In a box, the ball around it and the ball inside it; and everywhere."""
    model = dense(widths, activation, seed)
    d = widths[0]
    center = points(1, d, seed=seed)
    graph = read_graph(model, center)
    exact = exact_bound(graph, center[0] - half, center[0] + half)
    inside = ascent_bound(graph, center, torch.tensor([half])).item()
    around = local_bound(graph, center, torch.tensor([half * math.sqrt(d)])).item()
    assert inside <= exact * LITTLE
    assert exact <= around * LITTLE
    everywhere = exact_bound(graph)
    assert exact <= everywhere * LITTLE
    assert around <= global_bound(model, center) * LITTLE
    assert everywhere <= global_bound(model, center) * LITTLE
    found = jacobian_norms(graph, points(500, d, seed=seed, scale=3), generator=seeded())
    assert found.max().item() <= everywhere * LITTLE


def test_pieces_are_those_of_a_general_arrangement():
    """1 + N + N (N - 1) / 2 (+ N choose 3) regions of N lines (planes) in general position."""
    for d, regions in ((2, 37), (3, 93)):
        graph = read_graph(dense((d, 8, 3), nn.ReLU, 0), torch.zeros(1, d, dtype=torch.double))
        assert len(list(_regions(graph, _start(graph, None, None)))) == regions
        assert bends(graph) == 8


def test_exact_constant_of_two_layers_is_the_steepest_pattern():
    """With as many dimensions as neurons every pattern is somewhere: max over 2^n of |V D U|."""
    u, v = points(4, 4), points(3, 4, seed=1)
    patterns = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 4).double()
    truth = torch.linalg.matrix_norm(v @ torch.diag_embed(patterns) @ u, 2).max().item()
    model = weighted(u, v)
    graph = read_graph(model, torch.zeros(1, 4, dtype=torch.double))
    assert exact_bound(graph) == pytest.approx(truth, rel=1e-7)


def test_exact_constant_in_one_dimension():
    """f(x) = 2 relu(x) - 5 relu(x - 1) + relu(x - 2): slopes 0, 2, -3, -2."""
    model = nn.Sequential(nn.Linear(1, 3), nn.ReLU(), nn.Linear(3, 1)).double().eval()
    with torch.no_grad():
        model[0].weight.fill_(1.0)
        model[0].bias.copy_(torch.tensor([0.0, -1.0, -2.0]))
        model[2].weight.copy_(torch.tensor([[2.0, -5.0, 1.0]]))
    graph = read_graph(model, torch.zeros(1, 1, dtype=torch.double))
    assert exact_bound(graph) == pytest.approx(3)
    box = exact_bound(graph, torch.tensor([-2.0]), torch.tensor([0.9]))
    assert box == pytest.approx(2)
    centers = torch.tensor([[-1.0], [0.5], [1.5], [1.5], [0.0]], dtype=torch.double)
    radius = torch.tensor([0.9, 0.4, 0.4, 0.9, 0.5])
    found = local_bound(graph, centers, radius).tolist()
    truth = [0.0, 2.0, 3.0, 3.0, 2.0]
    assert found[:3] == pytest.approx(truth[:3], abs=1e-6)
    assert all(f >= t * (1 - 1e-9) for f, t in zip(found, truth, strict=True))
    assert found[4] == pytest.approx(2.0, rel=1e-6)


NETWORKS = [
    (lambda: MLP(9, (12, 10), 4), (9,)),
    (lambda: CNN(1, 4, width=3, size=8), (1, 8, 8)),
    (lambda: ResNet(1, 3, width=2), (1, 8, 8)),
    (lambda: nn.Sequential(Block(2, 2, 1), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(8, 3)),
     (2, 4, 4)),
    (lambda: nn.Sequential(nn.Linear(5, 8), nn.GELU(), nn.Linear(8, 8), nn.SiLU(),
                           nn.Linear(8, 3)), (5,)),
    (lambda: nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 8), nn.Softplus(),
                           nn.Linear(8, 3)), (5,)),
    (lambda: nn.Sequential(nn.Conv2d(1, 3, 3), nn.ELU(), nn.MaxPool2d(3, 2, padding=1), nn.SiLU(),
                           nn.MaxPool2d(2, 1), nn.Flatten(), nn.Linear(12, 3), nn.Sigmoid()),
     (1, 8, 8)),
]  # fmt: skip


@pytest.mark.parametrize("columns", [0, 256])
@pytest.mark.parametrize(("build", "shape"), NETWORKS)
def test_local_bounds_hold_at_every_point_that_is_tried(build, shape, columns, monkeypatch):
    """Slopes at, and changes between, random and steepest points of balls of many sizes."""
    monkeypatch.setattr("offmap.numerics.lipschitz.local.COLUMNS", columns)
    model = made(build)
    centers = points(8, *shape)
    radius = torch.tensor([0.0, 1e-6, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0], dtype=torch.double)
    above = local_bound(model, centers, radius)
    assert (above <= global_bound(model, centers[:1]) * LITTLE).all()
    assert (jacobian_norms(model, centers, generator=seeded()) <= above * LITTLE).all()
    assert (ascent_bound(model, centers, radius) <= above * LITTLE).all()
    own = model(centers).argmax(dim=1)
    safe = local_margin_bound(model, centers, radius, own)
    assert (safe <= radius).all()
    for seed in range(30):
        step = points(8, *shape, seed=seed).flatten(1)
        step = (radius / step.norm(dim=1))[:, None] * step
        moved = centers + step.view(centers.shape)
        assert (jacobian_norms(model, moved, generator=seeded()) <= above * LITTLE).all()
        change = (model(moved) - model(centers)).flatten(1).norm(dim=1)
        assert (change <= above * radius * LITTLE + 1e-12).all()
        near = centers + ((safe / radius.clamp_min(1e-9))[:, None] * step).view(centers.shape)
        assert (model(near).argmax(dim=1) == own)[safe > 0].all()


@pytest.mark.parametrize(("build", "shape"), NETWORKS)
def test_nothing_flips_within_the_certified_radius(build, shape):
    model = made(build)
    inputs = points(12, *shape)
    found = flip_distance(model, inputs)
    limit = found.clamp_max(10.0)
    safe = certified_radius(model, inputs, limit)
    assert (safe <= found * LITTLE).all()
    assert (safe > 0).all()
    gap = model(inputs).detach()
    bounds = margin_bounds(model, inputs[:1])
    own = gap.argmax(dim=1)
    everywhere = ((gap.gather(1, own[:, None]) - gap) / bounds[own]).nan_to_num(math.inf)
    assert (safe >= everywhere.amin(dim=1) * (1 - 1e-7)).all()


def test_margins_of_one_kink_are_those_of_its_chord():
    """relu(x) against 1 from x = -1: the answer changes at 2; a chord says what is safe."""
    model = nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 2)).double().eval()
    with torch.no_grad():
        model[0].weight.fill_(1), model[0].bias.fill_(0)
        model[2].weight.copy_(torch.tensor([[1.0], [0.0]]))
        model[2].bias.copy_(torch.tensor([0.0, 1.0]))
    radius = torch.linspace(0.1, 6, 60, dtype=torch.double)
    centers = torch.full((60, 1), -1.0, dtype=torch.double)
    found = local_margin_bound(model, centers, radius, torch.ones(60, dtype=torch.long))
    low, high = -1 - radius, -1 + radius
    chord = high / (high - low)  # relu(x) <= chord (x - low), which is 1 at low + 1 / chord
    safe = torch.where(high > 0, low + 1 / chord + 1, radius).clamp_min(0)
    torch.testing.assert_close(found, torch.minimum(radius, safe), rtol=1e-6, atol=1e-6)
    assert found.max() == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize("columns", [0, 256])
def test_margins_of_a_maximum(columns, monkeypatch):
    """max(a, b) from (2, 2) against 1: the chosen one falls below 1 first."""
    monkeypatch.setattr("offmap.numerics.lipschitz.local.COLUMNS", columns)
    model = nn.Sequential(nn.MaxPool2d((1, 2)), nn.Flatten(), nn.Linear(1, 2)).double().eval()
    with torch.no_grad():
        model[2].weight.copy_(torch.tensor([[1.0], [0.0]]))
        model[2].bias.copy_(torch.tensor([0.0, 1.0]))
    radius = torch.linspace(0.1, 3, 30, dtype=torch.double)
    centers = torch.full((30, 1, 1, 2), 2.0, dtype=torch.double)
    found = local_margin_bound(model, centers, radius, torch.zeros(30, dtype=torch.long))
    torch.testing.assert_close(found, radius.clamp_max(1), rtol=1e-6, atol=1e-6)
    slopes = local_bound(model, centers, radius)
    assert (slopes >= 1 - 1e-9).all()


def test_local_bounds_tighten_as_balls_shrink():
    model = made(lambda: MLP(9, (20, 20), 4))
    centers = points(20, 9)
    sizes = [1.0, 0.1, 0.01, 1e-3, 1e-5]
    found = torch.stack([local_bound(model, centers, torch.full((20,), r)) for r in sizes])
    medians = found.median(dim=1).values
    assert (medians.diff() <= 0).all()
    slopes = jacobian_norms(model, centers, generator=seeded())
    assert medians[0] > 1.3 * slopes.median()
    # almost no kink lies within 1e-5 of any of them: then the bound is the norm of the Jacobian
    assert ((found[-1] / slopes - 1).abs() < 1e-6).float().mean() > 0.9


def test_one_hidden_layer_beats_the_product_of_norms():
    """Two neurons that are never on together: the product counts both."""
    model = weighted(torch.tensor([[1.0], [-1.0]]), torch.tensor([[1.0, -1.0]])).double()
    x = torch.tensor([[3.0]], dtype=torch.double)
    assert global_bound(model, x) == pytest.approx(2)
    assert local_bound(model, x, torch.tensor([1.0])).item() == pytest.approx(1)
    assert exact_bound(read_graph(model, x)) == pytest.approx(1)


def test_permuting_hidden_units_changes_nothing():
    model = made(lambda: MLP(6, (8, 7), 3))
    other = made(lambda: MLP(6, (8, 7), 3))
    order = torch.randperm(8, generator=seeded())
    with torch.no_grad():
        other.body[1].weight.copy_(model.body[1].weight[order])
        other.body[1].bias.copy_(model.body[1].bias[order])
        other.body[3].weight.copy_(model.body[3].weight[:, order])
    x, radius = points(6, 6), torch.full((6,), 0.3)
    torch.testing.assert_close(local_bound(model, x, radius), local_bound(other, x, radius))
    torch.testing.assert_close(global_bound(model, x[:1]), global_bound(other, x[:1]))


def test_scaling_the_logits_scales_rates_and_leaves_distances():
    model = made(lambda: CNN(1, 4, width=3, size=8))
    x, radius = points(6, 1, 8, 8), torch.full((6,), 0.05)
    before = [local_bound(model, x, radius), torch.tensor([global_bound(model, x[:1])])]
    safe, found = certified_radius(model, x, radius), flip_distance(model, x)
    with torch.no_grad():
        model.head.weight *= 7
        model.head.bias *= 7
    after = [local_bound(model, x, radius), torch.tensor([global_bound(model, x[:1])])]
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(7 * one, other, rtol=1e-8, atol=0)
    torch.testing.assert_close(certified_radius(model, x, radius), safe, rtol=1e-6, atol=1e-12)
    torch.testing.assert_close(flip_distance(model, x), found, rtol=1e-4, atol=1e-9)


def test_balls_are_bounded_one_by_one(monkeypatch):
    """The same in groups of any size."""
    model = made(lambda: CNN(1, 4, width=3, size=8))
    x, radius = points(5, 1, 8, 8), torch.linspace(0, 0.2, 5)
    together = local_bound(model, x, radius)
    monkeypatch.setattr("offmap.numerics.lipschitz.local.BLOCK_BYTES", 1)
    torch.testing.assert_close(local_bound(model, x, radius), together, rtol=1e-9, atol=0)


def test_power_iteration_reaches_the_largest_singular_value():
    model = dense((8, 12, 40), nn.Tanh, 0)
    x = points(5, 8)
    slopes = torch.func.vmap(torch.func.jacrev(model))(x)
    truth = torch.linalg.matrix_norm(slopes, 2)
    found = jacobian_norms(model, x, steps=200, generator=seeded())
    torch.testing.assert_close(found, truth, rtol=1e-4, atol=0)
    assert (found <= truth * LITTLE).all()


def test_ascent_finds_what_the_center_does_not_show():
    """Flat at the center, steep beyond 0.5."""
    model = weighted(torch.eye(2), torch.eye(2))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, 0.0], [10.0, 0.0]]))
        model[0].bias = nn.Parameter(torch.tensor([1.0, -5.0], dtype=torch.double))
    x = torch.zeros(1, 2, dtype=torch.double)
    found = [ascent_bound(model, x, torch.tensor([r])).item() for r in (0.4, 0.6)]
    assert found == pytest.approx([1.0, math.sqrt(101)])


def test_flips_are_where_the_class_changes():
    """The nearest place of the other class of two discs: closed form."""

    class Discs(nn.Module):
        def forward(self, x):
            return torch.stack([x.norm(dim=1), torch.ones(len(x), dtype=x.dtype)], dim=1)

    x = torch.tensor([[0.2, 0.0], [0.0, 3.0], [0.6, 0.8001]], dtype=torch.double)
    found = flip_distance(Discs(), x)
    assert found.tolist() == pytest.approx([0.8, 2.0, 1.0000999 - 1 - 1.99e-5], abs=2e-5)


def test_a_constant_answer_is_never_changed():
    class Constant(nn.Module):
        def forward(self, x):
            return functional.pad(0 * x[:, :1], (0, 1), value=1.0)

    assert flip_distance(Constant(), points(3, 2)).isinf().all()


def test_what_makes_no_sense_is_refused():
    model = made(lambda: MLP(3, (4,), 2))
    x = points(2, 3)
    with pytest.raises(ValueError, match="radii >= 0, got -1"):
        local_bound(model, x, torch.tensor([0.1, -1.0]))
    with pytest.raises(ValueError, match=r"outputs \[n c\], got \[n 3 1\]"):
        margin_bounds(nn.Unflatten(1, (3, 1)).eval(), x[:1])
    smooth = read_graph(nn.Sequential(nn.Linear(3, 2), nn.Tanh()).double().eval(), x[:1])
    assert bends(smooth) is None
    with pytest.raises(ValueError, match="activations with a kink"):
        exact_bound(smooth)
    with pytest.raises(ValueError, match="at most 2 linear regions"):
        exact_bound(read_graph(model, x[:1]), most=2)
    with pytest.raises(ValueError, match="passes gradients"):
        jacobian_norms(lambda v: torch.ones(len(v), 2), x, generator=seeded())
    with pytest.raises(ValueError, match="LayerNorm"):
        local_bound(nn.LayerNorm(3).double().eval(), x, torch.ones(2))
