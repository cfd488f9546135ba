"""What continuity says near known examples: bounds that hold, and that are attained."""

import math

import pytest
import torch
from scipy.spatial import cKDTree

from offmap.numerics.cover import cell_excess, cell_samples, error_bound, margin_radius


@pytest.mark.parametrize("dimension", [1, 2])
def test_the_bound_is_attained_and_never_exceeded(generator, dimension):
    """f = L_f dist(., S) and g = -L_g dist(., S) agree on S; a million points."""
    examples = torch.rand(50, dimension, dtype=torch.double, generator=generator)
    points = 3 * torch.rand(10**6, dimension, dtype=torch.double, generator=generator) - 1
    found, _ = cKDTree(examples.numpy()).query(points.numpy(), k=3)
    distance = torch.from_numpy(found)
    gap = 2.5 * distance[:, 0] - -0.5 * distance[:, 0]
    bound = error_bound(distance, torch.zeros_like(distance), 3.0)
    assert (gap <= bound * (1 + 1e-12)).all()
    torch.testing.assert_close(gap, bound, rtol=1e-9, atol=0)


def test_the_bound_holds_for_other_functions(generator):
    """|sin 2x - cos x| from examples, with slopes 2 and 1."""
    examples = 6 * torch.rand(40, 1, dtype=torch.double, generator=generator)
    points = 6 * torch.rand(5000, 1, dtype=torch.double, generator=generator)

    def gap(x):
        return ((2 * x).sin() - x.cos()).abs()

    distance, rows = (points - examples.T).abs().topk(5, dim=1, largest=False)
    bound = error_bound(distance, gap(examples[:, 0])[rows], 3.0)
    assert (gap(points[:, 0]) <= bound + 1e-12).all()
    # more examples never loosen it, and it is the least over them
    nearest = error_bound(distance[:, :1], gap(examples[:, 0])[rows[:, :1]], 3.0)
    assert (bound <= nearest).all()
    assert (bound < nearest).any()


def test_margin_radius_of_a_linear_classifier_is_the_distance_to_its_boundary(generator):
    weight = torch.randn(4, 3, dtype=torch.double, generator=generator)
    inputs = torch.randn(50, 3, dtype=torch.double, generator=generator)
    logits, labels = inputs @ weight.T, torch.randint(4, (50,), generator=generator)
    bounds = torch.cdist(weight, weight)
    radius = margin_radius(logits, labels, bounds)
    assert ((radius > 0) == (logits.argmax(dim=1) == labels)).all()
    for i in (radius > 0).nonzero().flatten().tolist():
        steps = [
            (logits[i, labels[i]] - logits[i, j]) / bounds[labels[i], j].square()
            * (weight[j] - weight[labels[i]])
            for j in range(4) if j != labels[i]
        ]  # fmt: skip
        onto = min(steps, key=lambda step: float(step.norm()))
        assert float(onto.norm()) == pytest.approx(radius[i].item())
        for stretch, stays in ((0.999, True), (1.001, False)):
            said = (weight @ (inputs[i] + stretch * onto)).argmax()
            assert (said == labels[i]) == stays


def test_what_no_slope_can_change_is_certain_everywhere_and_a_tie_nowhere():
    bounds = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0]]).double()
    logits = torch.tensor([[2.0, 1.0, -3.0], [1.0, 1.0, -3.0], [1.0, 2.0, 0.0]])
    labels = torch.zeros(3, dtype=torch.int32)
    assert margin_radius(logits, labels, bounds).tolist() == [5, 0, -torch.inf]
    constant = torch.zeros(3, 3).double()
    assert margin_radius(logits, labels, constant).tolist() == [torch.inf, 0, -torch.inf]


def test_says_what_is_wrong():
    with pytest.raises(ValueError, match="bounds >= 0"):
        margin_radius(torch.ones(1, 2), torch.tensor([0]), -torch.ones(2, 2).double())
    with pytest.raises(ValueError, match="rate < infinity, got nan"):
        error_bound(torch.ones(1, 1).double(), torch.ones(1, 1).double(), float("nan"))


def test_cells_bound_the_excess_of_a_loss(generator):
    """Points of a circle in 100 arcs, each arc right or wrong: the bound of .120 is kept."""
    cells, n = 100, 10_000
    bound = cell_excess(math.log10(cells), n)
    assert bound == pytest.approx(math.sqrt((200 * math.log(2) + 2 * math.log(20)) / n))
    assert bound == pytest.approx(0.120, abs=5e-4)
    kept = 0
    for _ in range(100):
        wrong = torch.rand(cells, generator=generator) < 0.3
        seen = wrong[torch.randint(cells, (n,), generator=generator)]
        worst = wrong & (torch.rand(cells, generator=generator) < 0.5)  # any loss of the cells
        for loss in (wrong, worst):
            share = loss[torch.randint(cells, (n,), generator=generator)].double().mean()
            kept += bool(loss.double().mean() - share <= bound)
        assert wrong.double().mean() - seen.double().mean() <= bound
    assert kept == 200


def test_cells_and_examples_are_two_sides_of_one_formula():
    for log10_cells, excess, risk in ((0.0, 0.1, 0.05), (3.0, 0.5, 0.5), (2.5, 1.0, 0.01)):
        examples = cell_samples(log10_cells, excess, risk=risk)
        exact = (2 * 10**log10_cells * math.log(2) + 2 * math.log(1 / risk)) / excess**2
        assert examples == pytest.approx(math.log10(exact))
        n = math.ceil(exact)
        assert cell_excess(log10_cells, n, risk=risk) == pytest.approx(excess, rel=1 / n)
    assert cell_samples(1000.0, 0.1) == pytest.approx(1002 + math.log10(2 * math.log(2)))
    assert cell_excess(1000.0, 60_000) == 1.0  # vacuous, and no overflow
    for wrong in ((-1.0, 0.1, 0.05), (1.0, 0.0, 0.05), (1.0, 0.1, 0.0), (math.inf, 0.1, 0.1)):
        with pytest.raises(ValueError, match="expected log10_cells >= 0"):
            cell_samples(wrong[0], wrong[1], risk=wrong[2])
    with pytest.raises(ValueError, match="expected n >= 1, got 0"):
        cell_excess(1.0, 0)
