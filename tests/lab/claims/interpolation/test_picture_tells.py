import torch

from offmap.lab.claim import claims
from offmap.lab.claims.interpolation import picture_tells as module
from offmap.lab.claims.interpolation.pictures import components, drawn
from offmap.lab.data import digits
from offmap.lab.run import find


def test_verdict():
    found = find(["picture_tells"], scale="smoke")[0]
    assert found.verdict == "refuted"
    assert found.statement.corrected in claims()


def test_share_in_the_picture_is_a_linear_programs(program):
    draws = torch.Generator().manual_seed(1)
    trial = module.picture_tells(examples=30, generator=draws)
    draws.manual_seed(1)
    pictures = drawn(digits(), 1400, 30, generator=draws)
    points, queries = components(pictures.train, pictures.test, 2, generator=draws)
    share = sum(program(points, query) for query in queries) / 30
    assert abs(trial.parts["inside in the picture"] - share) < 1e-9


def test_of_data_in_a_plane_the_picture_tells_all(monkeypatch, generator):
    pictures = drawn(digits(), 1400, 100, generator=generator)
    plane = torch.randn(2, 64, generator=generator)
    flat = pictures._replace(
        train=torch.rand(1400, 2, generator=generator) @ plane,
        test=torch.rand(100, 2, generator=generator) @ plane,
    )
    whole = flat._replace(train=flat.train.double()[:, :2], test=flat.test.double()[:, :2])
    monkeypatch.setattr(module, "drawn", lambda *_, **__: whole)
    assert module.picture_tells(examples=100, generator=generator).effect > 0.9
