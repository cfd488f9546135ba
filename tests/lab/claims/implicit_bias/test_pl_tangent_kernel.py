import pytest
import torch

from offmap.lab.claims.implicit_bias.pl_tangent_kernel import Network, descend, draw, kernel
from offmap.lab.run import find
from offmap.lab.worlds import sphere


def outputs(inner, out, inputs):
    width, dimension = inner.shape
    return torch.tanh(inputs @ inner.mT / dimension**0.5) @ out / width**0.5


def test_verdict():
    found = find(["pl_tangent_kernel"], scale="smoke")[0]
    assert found.verdict == "supported"
    slowest = "last fall of the error along the slowest eigenvector / (1 - rate lambda)"
    assert found.parts[slowest].value == pytest.approx(1, abs=1e-3)


def test_kernel_is_that_of_autograd(generator):
    network, inputs = draw(4, 7, generator), sphere(5, 4, generator=generator)
    parts = torch.func.jacrev(outputs, argnums=(0, 1))(*network, inputs)
    jacobian = torch.cat([part.flatten(1) for part in parts], dim=1)
    torch.testing.assert_close(kernel(network, inputs), jacobian @ jacobian.mT)


def test_descent_is_that_of_autograd(generator):
    network, inputs = draw(4, 7, generator), sphere(5, 4, generator=generator)
    targets = torch.ones(5, dtype=torch.double)
    losses, lowest, _ = descend(network, inputs, targets, 0.1, 6)
    for step in range(6):
        weights = [w.detach().clone().requires_grad_() for w in network]
        loss = 0.5 * (outputs(*weights, inputs) - targets).square().sum()
        assert losses[step].item() == pytest.approx(loss.item())
        smallest = torch.linalg.eigvalsh(kernel(network, inputs))[0].item()
        assert lowest[step].item() == pytest.approx(smallest)
        gradient = torch.autograd.grad(loss, weights)
        network = Network(*(w.detach() - 0.1 * g for w, g in zip(weights, gradient, strict=True)))


def test_control_where_the_kernel_is_singular_nothing_is_promised_and_training_stops(generator):
    """One input twice with two labels: lambda is zero, and half of the error stays."""
    inputs = 20**0.5 * sphere(6, 20, generator=generator)
    inputs[1] = inputs[0]
    targets = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0]).double()
    network = draw(20, 300, generator)
    rate = 1 / torch.linalg.eigvalsh(kernel(network, inputs))[-1].item()
    losses, lowest, _ = descend(network, inputs, targets, rate, 400)
    assert lowest.abs().max() < 1e-12
    assert losses[-1].item() == pytest.approx(1.0, abs=1e-6)


def test_control_with_a_larger_eigenvalue_the_bound_fails(generator):
    """Three times lambda is no lower bound on the pace."""
    inputs = 20**0.5 * sphere(10, 20, generator=generator)
    network, targets = draw(20, 300, generator), torch.ones(10, dtype=torch.double)
    rate = 1 / torch.linalg.eigvalsh(kernel(network, inputs))[-1].item()
    losses, lowest, _ = descend(network, inputs, targets, rate, 2000)
    assert losses[-1] < losses[0] * (1 - rate * lowest[:-1]).prod()
    assert losses[-1] > losses[0] * (1 - 3 * rate * lowest[:-1]).prod()
