import importlib
import sys

import pytest
import torch

from offmap.attempt import InputError
from offmap.numerics.bank import nearest
from offmap.score import Seen
from offmap.scores import faiss_index
from offmap.scores.faiss_index import FaissIndex
from offmap.scores.feature_neighbors import feature_neighbors
from offmap.scores.input_neighbors import input_neighbors
from offmap.scores.mahalanobis import mahalanobis


@pytest.mark.parametrize("approximate", [False, True])
def test_finds_what_tiles_find(generator, approximate):
    bank = torch.randn(3_000, 4, generator=generator)
    queries = torch.randn(100, 4, generator=generator, requires_grad=True)
    distance, index = FaissIndex(bank, approximate=approximate).nearest(queries, 5)
    other, rows = nearest(queries, bank, k=5)
    same = (index == rows).all(dim=1)
    assert same.double().mean() > (0.9 if approximate else 0.999)
    assert torch.allclose(distance[same], other[same], rtol=1e-6)
    (slope,) = torch.autograd.grad(distance.sum(), queries)
    (truth,) = torch.autograd.grad(other.sum(), queries)
    assert torch.allclose(slope[same], truth[same], rtol=1e-4, atol=1e-6)


def test_says_how_much_it_finds(generator):
    """All of it in the flat index; of a graph searched with little effort, less."""
    bank, queries = torch.randn(2, 3_000, 24, generator=generator)
    assert FaissIndex(bank).recall(queries[:200], 10).value > 0.999
    lazy = FaissIndex(bank, approximate=True, effort=16).recall(queries[:200], 10)
    eager = FaissIndex(bank, approximate=True, effort=500).recall(queries[:200], 10)
    assert lazy.high < eager.low
    assert eager.value > 0.99


def test_a_graph_that_ends_too_early_is_not_taken_at_its_word(generator):
    """Copies of few rows are linked to one another alone, so that others are out of reach."""
    bank = torch.randn(3, 2, generator=generator).repeat_interleave(200, dim=0)
    index = FaissIndex(bank, approximate=True, effort=1)
    found = index.nearest(bank[:5], 550)
    assert (found[1] >= 0).all()
    assert found[0].shape == (5, 550)


@pytest.mark.parametrize("unit", [feature_neighbors, input_neighbors])
def test_a_score_can_search_it(labeled, fit, generator, unit):
    train, new = torch.randn(2, 400, 6, generator=generator)
    score = fit(unit, labeled(train, None))
    other = score.searching(FaissIndex(score.bank))
    seen = Seen(new, None, new)
    assert torch.allclose(score(seen), other(seen), rtol=1e-6)
    assert other.state_dict().keys() == score.state_dict().keys()

    class Nowhere:
        def nearest(self, queries, k):
            return torch.full((len(queries), k), 7.0).double(), torch.zeros(len(queries), k).long()

    assert len(score.searching(Nowhere())(seen).unique()) == 1
    assert torch.equal(score(seen), fit(unit, labeled(train, None))(seen))


def test_a_score_without_a_bank_has_nothing_to_search(labeled, fit, generator):
    train = torch.randn(20, 3, generator=generator)
    score = fit(mahalanobis, labeled(train, torch.arange(20) % 2))
    with pytest.raises(InputError, match="score mahalanobis: expected one with a bank"):
        score.searching(FaissIndex(train))


def test_says_what_to_install(monkeypatch):
    """And is imported without it: only an index needs faiss."""
    monkeypatch.setitem(sys.modules, "faiss", None)
    importlib.reload(faiss_index)
    with pytest.raises(InputError, match=r"expected faiss .* pip install 'offmap\[faiss\]'"):
        faiss_index.FaissIndex(torch.zeros(3, 2))


@pytest.mark.parametrize("k", [0, 4])
def test_refuses_a_k_out_of_range(k):
    with pytest.raises(ValueError, match=f"expected k from 1 to the 3 rows, got {k}"):
        FaissIndex(torch.zeros(3, 2)).nearest(torch.zeros(1, 2), k)
