import numpy as np
import pytest
import torch

from offmap.lab.claims.interpolation import ridgeless_risk as module
from offmap.lab.run import find
from offmap.lab.worlds import gaussian


def test_verdict():
    assert find(["ridgeless_risk"], scale="smoke")[0].verdict == "supported"


@pytest.mark.parametrize("d", [5, 40])
def test_fits_are_those_of_the_pseudo_inverse(d):
    draws = torch.Generator().manual_seed(3)
    risks, residual = module._fits(20, d, 3, draws)
    draws.manual_seed(3)
    teacher = np.full((d, 1), d**-0.5)
    for risk in risks.tolist():
        x = gaussian(20, d, generator=draws).numpy()
        y = x @ teacher + module.NOISE * gaussian(20, 1, generator=draws).numpy()
        assert risk == pytest.approx(((np.linalg.pinv(x) @ y - teacher) ** 2).sum())
    assert (residual < 1e-20) == (d == 40)


def test_law_agrees_with_mean_traces(generator):
    """E tr (X^T X)^-1 and E |P b|^2, by drawing."""
    traces, kept = [], []
    for _ in range(300):
        wide = gaussian(10, 30, generator=generator)
        traces.append(torch.linalg.inv(wide @ wide.T).trace())
        kept.append(torch.linalg.pinv(wide) @ (wide @ torch.full((30, 1), 30**-0.5).double()))
    noise, bias = torch.stack(traces), 1 - torch.stack(kept).square().sum(dim=(1, 2))
    risk = bias + module.NOISE**2 * noise
    assert abs(risk.mean() - module.law(10, 30)) < 4 * risk.std() / 300**0.5


def test_no_law_at_the_peak():
    with pytest.raises(ValueError, match="expected"):
        module.law(20, 20)


def test_a_law_without_noise_is_refuted(monkeypatch, generator):
    monkeypatch.setattr(module, "law", lambda n, d: max(0.0, 1 - n / d))
    trial = module.ridgeless_risk(examples=40, ratios=(0.5, 3.0), repeats=40, generator=generator)
    assert trial.effect > 4
