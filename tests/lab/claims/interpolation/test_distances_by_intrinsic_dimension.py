import pytest
import torch

from offmap.lab.claims.interpolation import distances_by_intrinsic_dimension as module
from offmap.lab.claims.interpolation.pictures import drawn
from offmap.lab.data import digits
from offmap.lab.run import find


def test_verdict():
    assert find(["distances_by_intrinsic_dimension"], scale="smoke")[0].verdict == "supported"


def test_nearness_is_that_of_all_distances(generator):
    points = torch.randn(40, 6, generator=generator) + 3
    queries = torch.randn(7, 6, generator=generator) + 3
    apart = torch.cdist(queries.double(), points.double())
    slow = apart.amin(dim=1) / apart.square().mean(dim=1).sqrt()
    assert torch.allclose(module.nearness(queries, points), slow)
    assert module.nearness(points[:3], points).max() < 1e-6


def test_noise_in_few_dimensions_of_many_reads_as_these(monkeypatch, generator):
    flat = torch.randn(5, 64, generator=generator).T
    basis = torch.linalg.qr(flat).Q.T
    pictures = drawn(digits(), 1400, 200, generator=generator)._replace(
        train=torch.randn(1400, 5, generator=generator) @ basis,
        test=torch.randn(200, 5, generator=generator) @ basis,
    )
    monkeypatch.setattr(module, "sets", lambda *_, **__: {"digits": pictures})
    trial = module.distances_by_intrinsic_dimension(examples=200, data={}, generator=generator)
    assert trial.effect == pytest.approx(5, rel=0.15)


def test_noise_of_all_pixels_breaks_it(monkeypatch, generator):
    pictures = drawn(digits(), 1400, 200, generator=generator)._replace(
        train=torch.randn(1400, 64, generator=generator),
        test=torch.randn(200, 64, generator=generator),
    )
    monkeypatch.setattr(module, "sets", lambda *_, **__: {"digits": pictures})
    trial = module.distances_by_intrinsic_dimension(examples=200, data={}, generator=generator)
    assert trial.effect > 20
