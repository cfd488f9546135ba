"""Small batches widen the room around digits; with a small learning rate there is no noise."""

from offmap.lab.claims.capacity import small_batches_smooth as module
from offmap.lab.claims.capacity.small_batches_smooth import small_batches_smooth
from offmap.lab.claims.capacity.smoothing import LINE
from offmap.lab.claims.capacity.training import train
from offmap.lab.run import find


def test_supported_at_smoke():
    assert find(["small_batches_smooth"], scale="smoke")[0].verdict == "supported"


def test_without_the_noise_of_large_steps_nothing_is_gained(generator):
    """Small steps add up to the gradient of all examples, whatever the batches."""
    trial = small_batches_smooth(
        n=64, repeats=3, width=32, steps=160, rate=0.005, generator=generator
    )
    assert abs(trial.effect) < LINE


def test_both_make_as_many_steps(monkeypatch, generator):
    seen = []

    def watched(problem, arms, **given):
        seen.append(given["epochs"] * -(-problem.inputs.shape[1] // given["batch_size"]))
        return train(problem, arms, **given)

    monkeypatch.setattr(module, "train", watched)
    small_batches_smooth(n=64, repeats=2, width=8, steps=80, rate=0.1, generator=generator)
    assert seen == [80, 80]
