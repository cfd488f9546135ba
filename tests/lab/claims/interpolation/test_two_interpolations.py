import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from offmap.lab.claims.interpolation import two_interpolations as module
from offmap.lab.claims.interpolation.pictures import drawn
from offmap.lab.data import digits
from offmap.lab.run import find


def test_verdict():
    assert find(["two_interpolations"], scale="smoke")[0].verdict == "supported"


@pytest.mark.parametrize("k", [1, 15])
def test_errors_are_those_of_scikit_learn(k):
    draws = torch.Generator().manual_seed(2)
    trial = module.two_interpolations(examples=100, neighbors=15, generator=draws)
    draws.manual_seed(2)
    pictures = drawn(digits(), 1400, 100, generator=draws)
    peer = KNeighborsClassifier(k).fit(pictures.train, pictures.targets)
    error = 1 - peer.score(pictures.test, pictures.test_targets)
    found = trial.parts[f"64 pixels, {k} neighbors: test error"]
    assert found == pytest.approx(error, abs=0.011)  # one tie


def test_with_one_neighbor_twice_a_combination_is_missing(generator):
    trial = module.two_interpolations(examples=50, neighbors=1, generator=generator)
    assert trial.parts["64 pixels, 1 neighbors: training error"] == 0
    loose = module.two_interpolations(examples=50, neighbors=2, generator=generator)
    assert loose.parts["64 pixels, 2 neighbors: training error"] > 0


def test_a_vote_that_fits_exactly_leaves_no_fourth_combination(monkeypatch, generator):
    monkeypatch.setattr(module, "_errors", lambda *_: (0.0, 0.1))
    assert module.two_interpolations(examples=50, neighbors=15, generator=generator).effect == 0
