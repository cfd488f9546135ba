import numpy as np
import torch
from scipy.optimize import linprog

from offmap.lab.claims.implicit_bias.deep_linear_margin import advance, readings
from offmap.lab.claims.implicit_bias.max_margin import hard_margin, softmax, two_classes
from offmap.lab.run import find


def test_smoke_verdict_and_the_start_as_the_control():
    finding = find(["deep_linear_margin"], scale="smoke")[0]
    assert finding.verdict == "supported"
    assert finding.parts["share of the first singular value, at the start"].high < 0.9
    assert finding.parts["alignment, at the start"].high < 0.9


def test_a_step_is_along_the_gradient_of_autograd(generator):
    z = two_classes(6, 3, generator)
    layers = [
        torch.randn(shape, dtype=torch.double, generator=generator).requires_grad_()
        for shape in ((4, 3), (4, 4), (1, 4))
    ]
    margins = torch.tensor(z) @ (layers[2] @ layers[1] @ layers[0])[0]
    torch.logsumexp(-margins, dim=0).backward()
    moved = [layer.detach().numpy().copy() for layer in layers]
    advance(moved, z)
    steps = [new - old.detach().numpy() for new, old in zip(moved, layers, strict=True)]
    ratios = np.concatenate(
        [(s / -old.grad.numpy()).ravel() for s, old in zip(steps, layers, strict=True)]
    )
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-8)  # one positive rate for all
    assert ratios[0] > 0


def test_readings_of_layers_made_by_hand():
    third = np.array([[1.0, 0.0]])
    second = np.diag([2.0, 1.0])
    first = np.diag([1.0, 1.0])[[1, 0]]  # its first singular vectors are not unique
    margin, share, _ = readings([first, second, third], np.array([[0.0, 3.0], [1.0, 5.0]]), 1.5)
    assert abs(margin - 2) < 1e-12  # the product is (0, 2): margins 3 and 5, over 1.5
    assert abs(share - 0.5) < 1e-12


def test_elementwise_layers_end_elsewhere():
    """The premise is broken: weights that multiply by element prefer a small l1 norm."""
    rng = np.random.default_rng(0)
    z = 0.3 + rng.standard_normal((5, 12))
    best = 1 / np.linalg.norm(hard_margin(z)[0])
    best_one = 1 / linprog(np.ones(24), A_ub=np.hstack([-z, z]), b_ub=-np.ones(5)).fun
    u = np.full((2, 12), 0.1)  # the product is the difference of their squares
    for _ in range(3000):
        ascent = np.array([[1], [-1]]) * u * (softmax(z @ (u[0] ** 2 - u[1] ** 2)) @ z)
        power = (ascent**2).sum()
        u = u + min(0.1 / power, 0.05 * ((u**2).sum() / power) ** 0.5) * ascent
    product = u[0] ** 2 - u[1] ** 2
    margin = (z @ product).min()
    assert margin / np.linalg.norm(product) / best < 0.98
    assert margin / np.abs(product).sum() / best_one > 0.95
