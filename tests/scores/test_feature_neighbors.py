import copy

import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from offmap.attempt import InputError
from offmap.score import FittedScore, Seen
from offmap.scores.feature_neighbors import feature_neighbors


def seen(features):
    return Seen(features, None, features)


@pytest.mark.usefixtures("in_small_reads")
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("k", [1, 7])
def test_is_the_distance_that_scikit_learn_finds(labeled, fit, generator, normalize, k):
    train = 20 + 5 * torch.randn(300, 6, generator=generator)
    new = 20 + 8 * torch.randn(50, 6, generator=generator)
    score = fit(feature_neighbors, labeled(train, None), k=k, normalize=normalize)
    x, y = (
        values / values.norm(dim=1, keepdim=True) if normalize else values
        for values in (train.double(), new.double())
    )
    truth = NearestNeighbors(n_neighbors=k).fit(x.numpy()).kneighbors(y.numpy())[0][:, -1]
    assert score(seen(new)).tolist() == pytest.approx(truth.tolist(), rel=1e-4, abs=1e-6)
    assert score.radius == 0


def test_the_order_of_the_known_the_odd_and_the_unknown(labeled, fit, generator):
    train = torch.randn(200, 5, generator=generator) * 0.1 + torch.ones(5)
    score = fit(feature_neighbors, labeled(train, None))
    odd = torch.tensor([[1.0, 1.0, 1.0, 1.0, 0.0]])
    usual = score(seen(train))
    assert usual.max() < score(seen(odd)).item() < score(seen(-odd)).item()


def test_length_does_not_count_where_it_is_normalized(labeled, fit, generator):
    train, new = torch.randn(2, 100, 5, generator=generator)
    score = fit(feature_neighbors, labeled(train, None), normalize=True)
    assert torch.allclose(score(seen(new)), score(seen(50 * new)), rtol=1e-5)
    score = fit(feature_neighbors, labeled(train, None), normalize=False)
    assert (score(seen(50 * new)) > 10 * score(seen(new))).all()


def test_features_of_zero_have_a_score_and_a_slope(labeled, fit, generator):
    """As where a ReLU lets nothing through."""
    train = torch.randn(40, 5, generator=generator).relu()
    score = fit(feature_neighbors, labeled(train, None), k=3)
    zero = torch.zeros(2, 5, requires_grad=True)
    value = score(Seen(zero, None, zero))
    (slope,) = torch.autograd.grad(value.sum(), zero)
    assert value.isfinite().all() and slope.isfinite().all()


@pytest.mark.parametrize("k", [1, 10, 25])
@pytest.mark.parametrize("bank", [12, 60])
def test_a_thinned_bank_errs_by_its_radius_at_most(labeled, fit, generator, k, bank):
    train, new = torch.randn(2, 600, 3, generator=generator)
    known = labeled(train, None)
    if bank <= k:
        k = bank - 1
    whole = fit(feature_neighbors, known, k=k)(seen(new))
    thin = fit(feature_neighbors, known, k=k, bank=bank)
    assert 0.8 * bank < len(thin.bank) <= bank
    assert int(thin.counts.sum()) == 600
    gap = (thin(seen(new)) - whole).abs().max().item()
    assert thin.radius / 20 < gap <= thin.radius * (1 + 1e-4)


def test_a_bank_that_is_not_thinned_has_no_counts(labeled, fit, generator):
    """Guards from before hold a one for each row: the same scores."""
    train, new = torch.randn(2, 300, 3, generator=generator)
    score = fit(feature_neighbors, labeled(train, None), k=4)
    assert score.counts.shape == (0,)
    state = score.state_dict() | {"counts": torch.ones(300, dtype=torch.long)}
    before = FittedScore(feature_neighbors, state, score.settings)
    assert torch.equal(score(seen(new)), before(seen(new)))


def test_a_large_bank_is_searched_behind_a_screen(labeled, fit, generator):
    """Which follows the bank: to another type of numbers, and to another state."""

    def rows(count):
        return torch.randn(count, 4, generator=generator) @ maps

    maps = torch.randn(4, 32, generator=generator)
    train, new = rows(9000), rows(200)
    score = fit(feature_neighbors, labeled(train, None))
    other = fit(feature_neighbors, labeled(rows(9000), None))
    expected = score(seen(new))
    assert score._tiles.screen is not None
    plain = score.searching(score._tiles._replace(screen=None))(seen(new))
    assert torch.equal(expected, plain)
    other.load_state_dict(score.state_dict())
    assert torch.equal(other(seen(new)), expected)
    double = copy.deepcopy(score).double()
    assert double._tiles.squares.dtype == torch.double
    assert torch.allclose(double(seen(new)), expected, rtol=1e-5)
    assert score.state_dict().keys() == {"center", "bank", "counts", "radius"}


def test_refuses_fewer_examples_than_neighbors(labeled, fit):
    with pytest.raises(InputError, match="more than k=5 training examples, got 5: set a smaller"):
        fit(feature_neighbors, labeled(torch.randn(5, 3), None))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"k": 0}, "expected k >= 1, got 0"),
        ({"bank": 5, "k": 5}, "a bank of more than k=5 rows, got bank=5"),
    ],
)
def test_refuses_settings_out_of_range(labeled, fit, settings, message):
    with pytest.raises(ValueError, match=message):
        fit(feature_neighbors, labeled(torch.randn(30, 3), None), **settings)


def test_refuses_a_bank_above_its_share_of_the_memory(labeled, fit, generator):
    train = torch.randn(1_000, 10, generator=generator)
    known = labeled(train, None, memory=4 * 40 * 500)
    with pytest.raises(InputError, match=r"got 1,000 rows of 40 bytes .*: set bank=500"):
        fit(feature_neighbors, known)
    assert 400 < len(fit(feature_neighbors, known, bank=500).bank) <= 500
