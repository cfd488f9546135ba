import torch

from offmap.lab.claim import claims
from offmap.lab.claims.interpolation import neighbors_no_nearer as module
from offmap.lab.claims.interpolation.pictures import drawn
from offmap.lab.data import digits
from offmap.lab.run import find


def test_verdict():
    found = find(["neighbors_no_nearer"], scale="smoke")[0]
    assert found.verdict == "refuted"
    assert found.statement.corrected in claims()


def test_of_noise_it_is_true(monkeypatch, generator):
    pictures = drawn(digits(), 1400, 200, generator=generator)._replace(
        train=torch.randn(1400, 64, generator=generator),
        test=torch.randn(200, 64, generator=generator),
    )
    monkeypatch.setattr(module, "sets", lambda *_, **__: {"digits": pictures})
    trial = module.neighbors_no_nearer(examples=200, data={}, generator=generator)
    assert 0.95 < trial.effect < 1.05
