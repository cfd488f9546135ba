import pytest
import torch

from offmap.lab.claims.interpolation import hull_below_gaussian as module
from offmap.lab.claims.interpolation.hull_below_gaussian import hull_below_gaussian
from offmap.lab.claims.interpolation.laws import student
from offmap.lab.claims.interpolation.pictures import components, sets
from offmap.lab.run import find
from offmap.numerics.hull import inside_probability


def test_verdict():
    assert find(["hull_below_gaussian"], scale="smoke")[0].verdict == "supported"


def test_share_is_a_linear_programs(program):
    draws = torch.Generator().manual_seed(4)
    trial = hull_below_gaussian(dimensions=(6,), examples=25, data={}, generator=draws)
    draws.manual_seed(4)
    pictures = sets({}, module.SIZES, generator=draws)["digits"]
    points, queries = components(pictures.train, pictures.test[:25], 6, generator=draws)
    share = sum(program(points, query) for query in queries) / 25
    assert trial.parts["digits, 6 components: inside"] == share
    assert trial.effect == pytest.approx(share / inside_probability(1400, 6))


def test_data_of_heavy_tails_breaks_it(monkeypatch, generator):
    heavy = student(1400, 8, generator=generator), student(60, 8, generator=generator)
    monkeypatch.setattr(module, "components", lambda *_, **__: heavy)
    trial = hull_below_gaussian(dimensions=(8,), examples=60, data={}, generator=generator)
    assert trial.effect > 1
