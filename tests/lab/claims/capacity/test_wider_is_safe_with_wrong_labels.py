"""With wrong labels a narrower network is better; the wrong labels are what does it."""

import torch

from offmap.lab.claims.capacity import widening
from offmap.lab.claims.capacity.training import train
from offmap.lab.claims.capacity.wider_is_safe_with_wrong_labels import (
    wider_is_safe_with_wrong_labels,
)
from offmap.lab.run import find

SMALL = {
    "n": 60,
    "repeats": 2,
    "widths": (4, 128, 256),
    "epochs": 30,
    "batch_size": 30,
    "rate": 0.01,
}


def test_refuted_at_smoke():
    assert find(["wider_is_safe_with_wrong_labels"], scale="smoke")[0].verdict == "refuted"


def test_a_fifth_is_drawn_and_the_same_for_all_widths(monkeypatch, generator):
    seen = []

    def watched(problem, arms, **given):
        seen.append(problem)
        return train(problem, arms, **given)

    monkeypatch.setattr(widening, "train", watched)
    widening.widen(**(SMALL | {"n": 1000, "epochs": 1}), wrong=0.2, generator=generator)
    widening.widen(**(SMALL | {"n": 1000, "epochs": 1}), generator=torch.Generator().manual_seed(0))
    noisy, clean = seen[:3], seen[3:]
    assert all(torch.equal(noisy[0].targets, other.targets) for other in noisy)
    assert torch.equal(noisy[0].inputs, clean[0].inputs)
    wrong = (noisy[0].targets != clean[0].targets).float().mean()
    assert 0.14 < wrong < 0.22  # 0.2 less the tenth that is right by chance


def test_effect_is_the_widest_against_the_best_of_the_others(generator):
    trial = wider_is_safe_with_wrong_labels(generator=generator, **SMALL)
    errors = [trial.parts[f"width {width}: test error"] for width in SMALL["widths"]]
    assert trial.effect == errors[-1] - min(errors[:-1])
