"""Training against autograd on the signals themselves; the smallest norm against cvxpy."""

import cvxpy
import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from offmap.lab.claims.implicit_bias import circular
from offmap.lab.claims.implicit_bias.circular import l1_per_margin, least_l1, train


def dft(d: int) -> np.ndarray:
    return np.exp(-2j * np.pi * np.outer(np.arange(d), np.arange(d)) / d) / d**0.5


@pytest.mark.parametrize(("n", "d"), [(4, 9), (6, 12)])
def test_the_smallest_norm_is_that_of_cvxpy(n, d):
    z = np.random.default_rng(n).standard_normal((n, d))
    w = cvxpy.Variable(d)
    norm = cvxpy.norm1(cvxpy.abs(dft(d) @ w))
    optimum = cvxpy.Problem(cvxpy.Minimize(norm), [z @ w >= 1]).solve(solver="CLARABEL")
    above, below = least_l1(z)
    assert below <= optimum * (1 + 1e-6) and optimum <= above * (1 + 1e-6)
    assert above - below < 2e-3 * above


@pytest.mark.parametrize("d", [7, 8])
@pytest.mark.parametrize("depth", [1, 3])
def test_a_step_is_along_the_gradient_of_autograd(depth, d, monkeypatch):
    """Of circular convolutions written as sums, for odd and even lengths."""
    monkeypatch.setattr(circular, "START", 1.0)
    z = np.random.default_rng(0).standard_normal((1, 3, d))
    filters = torch.tensor(
        np.random.default_rng(1).standard_normal((depth, 1, d))[:, 0], requires_grad=True
    )

    def product(layers: torch.Tensor) -> torch.Tensor:
        result = layers[0]
        for layer in layers[1:]:
            turned = torch.stack([torch.roll(layer, shift) for shift in range(d)])
            result = result @ turned
        return result

    torch.logsumexp(-(torch.tensor(z[0]) @ product(filters)), dim=0).backward()
    before = train(z, depth, 0, np.random.default_rng(1)).product
    after = train(z, depth, 1, np.random.default_rng(1)).product
    np.testing.assert_allclose(np.fft.irfft(before, d)[0], product(filters).detach(), atol=1e-12)

    def moved(rate: float) -> np.ndarray:
        return product(filters.detach() - rate * filters.grad).numpy()

    target = np.fft.irfft(after, d)[0]

    def gap(rate: float) -> float:
        return float(np.abs(moved(rate) - target).max())

    near = min(np.linspace(0, 1, 401), key=gap)
    found = minimize_scalar(gap, bounds=(near - 0.003, near + 0.003), method="bounded",
                            options={"xatol": 1e-10})  # fmt: skip
    assert found.fun < 1e-7
    assert found.x > 1e-3


def test_the_norm_is_that_of_the_whole_unitary_transform():
    rng = np.random.default_rng(0)
    w, z = rng.standard_normal(9), rng.standard_normal((4, 9))
    z *= np.sign(z @ w)[:, None]
    mine = l1_per_margin(np.fft.rfft(w)[None], z[None])[0]
    np.testing.assert_allclose(mine, np.abs(dft(9) @ w).sum() / (z @ w).min())
    with pytest.raises(ValueError, match="right"):
        l1_per_margin(np.fft.rfft(-w)[None], z[None])
