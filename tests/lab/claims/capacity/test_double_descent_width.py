import numpy as np
import pytest
import torch

from offmap.lab.claims.capacity.double_descent_width import even, risks_of_widths
from offmap.lab.claims.capacity.least_squares import deviation
from offmap.lab.run import find

WIDTHS = (3, 8, 30, 60)


def test_verdict():
    assert find(["double_descent_width"], scale="smoke")[0].verdict == "supported"


def test_law_as_printed_by_belkin_hsu_and_xu(generator):
    n, dimension, noise = 20, 60, 0.5
    _, law = risks_of_widths(n, WIDTHS, even(dimension), 2, noise, generator)
    used = np.array(WIDTHS) / dimension
    rest = 1 - used + noise**2
    printed = [
        rest[k] * (1 + p / (n - p - 1))
        if p < n
        else used[k] * (1 - n / p) + rest[k] * (1 + n / (p - n - 1))
        for k, p in enumerate(WIDTHS)
    ]
    np.testing.assert_allclose(law.numpy(), printed)


def test_risk_is_the_error_on_fresh_data(generator):
    """A slow twin: numpy's fits, tested on many fresh examples."""
    rng, n, truth, errors = np.random.default_rng(0), 20, even(60).numpy(), []
    for _ in range(300):
        x = rng.standard_normal((n, 60))
        fit = np.linalg.lstsq(x[:, :8], x @ truth + rng.normal(0, 0.5, n), rcond=None)[0]
        fresh = rng.standard_normal((200, 60))
        wrong = fresh @ truth + rng.normal(0, 0.5, 200) - fresh[:, :8] @ fit
        errors.append((wrong**2).mean())
    risks, _ = risks_of_widths(n, (8,), even(60), 300, 0.5, generator)
    spread = np.hypot(np.std(errors), risks.std().item()) / 300**0.5
    assert abs(np.mean(errors) - risks.mean().item()) < 4 * spread


@pytest.mark.parametrize("wrong", ["noise", "peak"])
def test_control_another_law_is_told_apart(wrong, generator):
    risks, _ = risks_of_widths(20, WIDTHS, even(60), 400, 0.5, generator)
    n, noise = (20, 0.4) if wrong == "noise" else (21, 0.5)
    _, other = risks_of_widths(n, WIDTHS, even(60), 2, noise, generator)
    assert deviation(risks, other).abs().max() > 4


def test_control_with_all_features_and_no_noise_there_is_no_peak(generator):
    sizes = torch.tensor([
        risks_of_widths(n, (40,), even(40), 100, 0.0, generator)[0].mean().item()
        for n in (10, 20, 30, 36, 39)
    ])  # fmt: skip
    assert bool((sizes.diff() < 0).all())
