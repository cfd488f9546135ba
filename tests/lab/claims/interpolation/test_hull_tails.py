import numpy as np
import pytest
import torch
from scipy import stats

from offmap.lab.claims.interpolation import hull_tails as module
from offmap.lab.claims.interpolation.laws import LIGHT_TO_HEAVY, corners, cube, student
from offmap.lab.run import find
from offmap.lab.worlds import ball, gaussian
from offmap.numerics.hull import inside_probability


def test_verdict():
    assert find(["hull_tails"], scale="smoke")[0].verdict == "supported"


def test_laws_are_what_their_names_say(generator):
    uniform = cube(4000, 2, generator=generator)
    assert stats.kstest(uniform.flatten().numpy(), "uniform", (-1, 2)).pvalue > 1e-3
    heavy = student(4000, 1, generator=generator).flatten().numpy()
    assert stats.kstest(heavy, "t", (3,)).pvalue > 1e-3
    binary = corners(4000, 3, generator=generator)
    assert set(binary.flatten().tolist()) == {-1.0, 1.0}
    assert binary.mean(dim=0).abs().max() < 4 / 4000**0.5


def test_shares_in_one_dimension_are_the_same_for_all(generator):
    """On a line only ranks count: 1 - 2 / (N + 1), whatever the law."""
    trial = module.hull_tails(dimension=1, count=9, hulls=60, queries=5, generator=generator)
    for name in ("ball", "cube", "Gaussian", "Student's t"):
        assert trial.parts[name] == pytest.approx(0.8, abs=4 * 0.4 / 60**0.5)
    assert trial.parts["Gaussian, by the exact law"] == inside_probability(9, 1)


def test_shares_are_those_of_a_linear_program(program):
    draws = torch.Generator().manual_seed(1)
    trial = module.hull_tails(dimension=3, count=30, hulls=2, queries=10, generator=draws)
    draws.manual_seed(1)
    for name, law in LIGHT_TO_HEAVY.items():
        hits = []
        for _ in range(2):
            points, queries = law(30, 3, generator=draws), law(10, 3, generator=draws)
            hits += [program(points, query) for query in queries]
        assert trial.parts[name] == pytest.approx(np.mean(hits))


def test_laws_of_equal_tails_give_no_order(monkeypatch):
    same = {"one": gaussian, "other": gaussian, "third": gaussian, "fourth": ball}
    monkeypatch.setattr(module, "LIGHT_TO_HEAVY", same)
    effects = [
        module.hull_tails(
            dimension=4, count=60, hulls=3, queries=20, generator=torch.Generator().manual_seed(s)
        ).effect
        for s in range(3)
    ]
    assert max(effects) < 0  # the ball comes last and is the lowest
