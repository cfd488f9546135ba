"""Least squares under noise, against scikit-learn's ridge; a wrong penalty is found out."""

import pytest
import torch
from sklearn.linear_model import Ridge

from offmap.lab.claims.capacity import noise_is_ridge as module
from offmap.lab.run import find


def test_supported_at_smoke():
    assert find(["noise_is_ridge"], scale="smoke")[0].verdict == "supported"


def drawn(generator):
    inputs = torch.randn(15, 4, generator=generator, dtype=torch.double)
    return inputs, inputs.sum(dim=1) + torch.randn(15, generator=generator, dtype=torch.double)


def test_noise_on_inputs_is_the_ridge_of_scikit_learn(generator):
    inputs, targets = drawn(generator)
    fit, error = module.fitted("noise on inputs", inputs, targets, 20_000, generator)
    ridge = Ridge(alpha=15 * module.INPUT**2, fit_intercept=False, tol=1e-10)
    law = torch.from_numpy(ridge.fit(inputs.numpy(), targets.numpy()).coef_)
    assert ((fit - law) / error).abs().max() < 4
    half = Ridge(alpha=15 * module.INPUT**2 / 2, fit_intercept=False)
    wrong = torch.from_numpy(half.fit(inputs.numpy(), targets.numpy()).coef_)
    assert ((fit - wrong) / error).abs().max() > 8


def test_dropout_and_noise_on_weights_are_ridge_of_scaled_inputs(generator):
    inputs, targets = drawn(generator)
    scale = inputs.square().sum(dim=0).sqrt()
    alpha = module.DROPPED / (1 - module.DROPPED)
    ridge = Ridge(alpha=alpha, fit_intercept=False, tol=1e-10)
    law = torch.from_numpy(ridge.fit((inputs / scale).numpy(), targets.numpy()).coef_) / scale
    for name in ("dropout of inputs", "noise times weights"):
        fit, error = module.fitted(name, inputs, targets, 20_000, generator)
        assert ((fit - law) / error).abs().max() < 4
        plain = torch.linalg.lstsq(inputs, targets[:, None]).solution[:, 0]
        assert ((fit - plain) / error).abs().max() > 8


def test_additive_noise_on_weights_is_no_penalty(generator):
    inputs, targets = drawn(generator)
    fit, error = module.fitted("noise plus weights", inputs, targets, 20_000, generator)
    plain = torch.linalg.lstsq(inputs, targets[:, None]).solution[:, 0]
    assert ((fit - plain) / error).abs().max() < 4


def test_standard_errors_are_right(generator):
    """Over repetitions, the distance in standard errors has variance one."""
    inputs, targets = drawn(generator)
    alpha = 15 * module.INPUT**2
    gram = inputs.T @ inputs + alpha * torch.eye(4, dtype=torch.double)
    law = torch.linalg.solve(gram, inputs.T @ targets)
    away = []
    for _ in range(100):
        fit, error = module.fitted("noise on inputs", inputs, targets, 500, generator)
        away.append((fit - law) / error)
    spread = torch.stack(away).square().mean().sqrt().item()
    assert spread == pytest.approx(1.0, abs=0.2)
