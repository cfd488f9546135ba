import numpy as np
import pytest
import torch
from scipy.linalg import lstsq

from offmap.lab.claims.implicit_bias.pl_condition import descend, make, pl_condition
from offmap.lab.run import find


def test_verdict():
    """Supported, tightly; control: with the loss in place of the gap the condition fails."""
    found = find(["pl_condition"], scale="smoke")[0]
    assert found.verdict == "supported"
    least = "least |gradient|^2 / 2 over mu times the gap"
    assert found.parts[least].value == pytest.approx(1, abs=0.05)
    assert found.parts["the same with the loss in place of the gap"].high < 1e-6
    assert abs(found.parts["smallest eigenvalue of the Hessian / largest"].value) < 1e-12


def test_gap_is_the_loss_above_that_of_lapack(generator):
    problem = make(12, 15, 4, generator)
    x, y = problem.inputs.numpy(), problem.targets.numpy()
    best = lstsq(x, y)[0]
    least = 0.5 * ((x @ best - y) ** 2).sum()
    assert problem.least == pytest.approx(least)
    path = descend(problem, 1e-3, 5)
    weights = np.zeros(15)
    for step in range(5):
        gradient = x.T @ (x @ weights - y)
        loss = 0.5 * ((x @ weights - y) ** 2).sum()
        assert path.gap[step].item() == pytest.approx(loss - least)
        assert path.gradient[step].item() == pytest.approx(gradient @ gradient)
        weights = weights - 1e-3 * gradient


def test_path_is_the_closed_form_of_a_quadratic(generator):
    """Each eigenvector falls by itself: sum of c_i^2 (1 - lambda_i / L)^2k / 2."""
    problem = make(12, 15, 4, generator)
    values, vectors = torch.linalg.eigh(problem.inputs @ problem.inputs.mT)
    part = vectors.mT @ problem.targets
    rate = 1 / values[-1].item()
    gap = descend(problem, rate, 20).gap
    k = torch.arange(len(gap), dtype=torch.double)[:, None]
    law = 0.5 * ((1 - rate * values) ** (2 * k) * part**2)[:, -4:].sum(dim=1)
    torch.testing.assert_close(gap, law)


def test_control_with_a_larger_constant_the_bound_fails(generator):
    """mu five times the true one: the late gaps stand above it."""
    problem = make(30, 40, 10, generator)
    spectrum = torch.linalg.eigvalsh(problem.inputs.mT @ problem.inputs)
    share = 5 * (spectrum[-10] / spectrum[-1]).item()
    gap = descend(problem, 1 / spectrum[-1].item(), 300).gap
    assert gap[-1] > gap[0] * (1 - share) ** (len(gap) - 1)


def test_the_bound_is_met_at_other_ranks(generator):
    for rank in (3, 30):
        trial = pl_condition(n=30, dimension=40, rank=rank, steps=200, generator=generator)
        assert trial.effect < 1
