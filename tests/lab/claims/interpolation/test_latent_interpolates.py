import torch

from offmap.lab.claims.interpolation import latent_interpolates as module
from offmap.lab.run import find


def test_verdict():
    assert find(["latent_interpolates"], scale="smoke")[0].verdict == "refuted"


def test_two_features_would_support_it(monkeypatch, generator):
    """In two dimensions of the pixels nearly every test picture is inside."""
    monkeypatch.setattr(module, "features", lambda _, inputs: inputs[:, 20:22])
    trial = module.latent_interpolates(hidden=(8,), epochs=0, data={}, generator=generator)
    assert trial.effect > 0.9
    assert trial.parts["digits: dimensions that the features fill"] == 2


def test_outside_is_so_by_a_linear_program(program, monkeypatch):
    kept = []
    real = module.features
    monkeypatch.setattr(module, "features", lambda m, x: kept.append(real(m, x)) or kept[-1])
    trial = module.latent_interpolates(
        hidden=(32,), epochs=2, data={}, generator=torch.Generator().manual_seed(0)
    )
    points, queries = (rows.double() for rows in kept)
    used = points.std(dim=0) > 0
    sides = [program(points[:, used], query[used]) for query in queries[:20]]
    assert sum(sides) <= 20 * trial.effect + 1
