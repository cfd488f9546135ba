import torch

from offmap.lab.claim import claims
from offmap.lab.claims.interpolation import hull_side_tells as module
from offmap.lab.run import find


def test_verdict():
    found = find(["hull_side_tells"], scale="smoke")[0]
    assert found.verdict == "refuted"
    assert found.statement.corrected in claims()


def test_errors_that_lie_outside_are_told(monkeypatch, generator):
    """A network that errs far from the center, and only there, is caught."""

    def far(model, inputs, targets):
        length = (inputs - inputs.mean(dim=0)).norm(dim=1)
        return length > length.quantile(0.7)

    monkeypatch.setattr(module, "wrong", far)
    trial = module.hull_side_tells(hidden=(8,), epochs=0, data={}, generator=generator)
    assert trial.effect > 0.02


def test_errors_at_random_are_not(monkeypatch):
    effects = []
    for seed in range(3):
        draws = torch.Generator().manual_seed(seed)
        monkeypatch.setattr(
            module, "wrong", lambda m, x, y, g=draws: torch.rand(len(x), generator=g) < 0.5
        )
        trial = module.hull_side_tells(hidden=(8,), epochs=0, data={}, generator=draws)
        effects.append(trial.effect)
    assert abs(sum(effects) / 3) < 4 * (2 * 0.25 / 290 / 3) ** 0.5
