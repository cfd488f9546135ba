"""Noise on activations is outgrown: a network of ReLUs has a way around it."""

import pytest
import torch

from offmap.lab.claims.capacity.arms import Arm
from offmap.lab.claims.capacity.disturbance import Settings, disturbed
from offmap.lab.claims.capacity.smoothing import against_plain
from offmap.lab.claims.capacity.training import forward
from offmap.lab.run import find

SMALL = {"n": 60, "repeats": 3, "width": 32, "epochs": 25, "batch_size": 30, "rate": 0.01}


def test_refuted_at_smoke():
    assert find(["activation_noise_smooths"], scale="smoke")[0].verdict == "refuted"


def test_scaling_one_layer_up_and_the_next_down_makes_the_noise_small(generator):
    """The way around: the same function, but the noise counts for a hundredth."""
    first, second = (
        torch.randn(1, 5, 8, generator=generator),
        torch.randn(1, 8, 10, generator=generator),
    )
    none = torch.zeros(1, 1, 1)
    inputs = torch.randn(1, 4000, 5, generator=generator)
    settings = Settings([Arm(activation_noise=0.5)], 1)

    def noise(scale: float) -> float:
        layers = [(scale * first, none.expand(1, 1, 8)), (second / scale, none.expand(1, 1, 10))]
        noisy = disturbed(layers, inputs.clone(), settings, generator)
        exact = forward(layers, inputs)
        torch.testing.assert_close(exact, (inputs @ first).relu() @ second, rtol=1e-3, atol=1e-4)
        return (noisy - exact).std().item()

    assert noise(100.0) == pytest.approx(noise(1.0) / 100, rel=0.05)


def test_no_noise_changes_nothing(generator):
    trial = against_plain({"none": Arm(activation_noise=0.0)}, generator=generator, **SMALL)
    assert abs(trial.effect) < 0.01
