import math

import pytest
import torch
from scipy import stats
from sklearn.metrics import roc_auc_score

from offmap.numerics.ranking import auroc, auroc_influence, ranks, spearman


def _tied(generator: torch.Generator, n: int = 300, values: int = 12):
    score = torch.randint(values, (n,), generator=generator)
    positive = torch.rand(n, generator=generator) < 0.3 + 0.03 * score
    return score, positive


def test_ranks_share_ties():
    assert ranks(torch.tensor([3.0, 1.0, 3.0, 2.0, 3.0])).tolist() == [4, 1, 4, 2, 4]


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64, torch.int64])
def test_ranks_agree_with_scipy(generator, dtype):
    values = torch.randint(-50, 50, (400,), generator=generator).to(dtype)
    assert ranks(values).tolist() == stats.rankdata(values.numpy()).tolist()


def test_auroc_matches_the_pairwise_definition(generator):
    score, positive = _tied(generator)
    gap = score[positive][:, None] - score[~positive][None]
    pairs = (gap > 0).double() + 0.5 * (gap == 0).double()
    assert auroc(score, positive).item() == pytest.approx(pairs.mean().item(), abs=1e-14)
    assert auroc(score, positive).item() == pytest.approx(
        roc_auc_score(positive.numpy(), score.numpy()), abs=1e-12
    )


def test_auroc_of_a_large_sample_keeps_its_digits():
    """A rank sum of 2e10 has no room for halves in float32."""
    n = 200_001
    score, positive = torch.arange(n), torch.arange(n) % 2 == 1  # odd ranks against even ones
    q, p = n // 2 + 1, n // 2
    assert auroc(score, positive).item() == pytest.approx(p * (p + 1) / 2 / (p * q), abs=1e-12)


def test_auroc_is_blind_to_increasing_maps_and_to_order(generator):
    score, positive = _tied(generator)
    mixed = torch.randperm(len(score), generator=generator)
    area = auroc(score, positive).item()
    assert auroc((score.double() / 3).exp(), positive).item() == area
    assert auroc(score[mixed], positive[mixed]).item() == pytest.approx(area, abs=1e-14)
    assert auroc(-score, positive).item() == pytest.approx(1 - area, abs=1e-14)


def test_auroc_of_one_kind_only_is_not_a_number():
    assert auroc(torch.arange(3.0), torch.ones(3, dtype=torch.bool)).isnan()
    assert auroc(torch.arange(3.0), torch.zeros(3, dtype=torch.bool)).isnan()


def test_influences_need_both_kinds():
    with pytest.raises(ValueError, match="both positives and negatives, got 3 of 3"):
        auroc_influence(torch.arange(3.0), torch.ones(3, dtype=torch.bool))


def test_influences_are_the_slope_of_the_area_in_each_weight(generator):
    """The weighted area, from pairs: its derivative in the weight of an example, times n."""
    score, positive = _tied(generator, n=40, values=6)
    gap = score[positive][:, None] - score[~positive][None]
    wins = (gap > 0).double() + 0.5 * (gap == 0).double()
    weights = torch.full((40,), 1 / 40, dtype=torch.double, requires_grad=True)
    up, down = weights[positive], weights[~positive]
    weighted = (up @ wins @ down) / (up.sum() * down.sum())
    (slope,) = torch.autograd.grad(weighted, weights)
    area, influence = auroc_influence(score, positive)
    assert area.item() == pytest.approx(weighted.item(), abs=1e-14)
    assert torch.allclose(influence, slope, atol=1e-12)


def test_influences_give_the_variance_of_delong(generator):
    """Their formula: var(V10) / p + var(V01) / q, here with population variances."""
    score, positive = _tied(generator)
    gap = score[positive][:, None] - score[~positive][None]
    wins = (gap > 0).double() + 0.5 * (gap == 0).double()
    expected = sum(
        wins.mean(dim=axis).var(correction=0).item() / wins.shape[1 - axis] for axis in (0, 1)
    )
    _, influence = auroc_influence(score, positive)
    assert influence.sum().item() == pytest.approx(0, abs=1e-9)
    assert influence.square().sum().item() / len(score) ** 2 == pytest.approx(expected, rel=1e-10)


def test_spearman_agrees_with_scipy(generator):
    first = torch.randint(9, (250,), generator=generator)
    second = first + torch.randint(9, (250,), generator=generator)
    expected = stats.spearmanr(first.numpy(), second.numpy()).statistic
    assert spearman(first, second).item() == pytest.approx(expected, abs=1e-12)
    assert math.isnan(spearman(first, torch.ones(250)).item())
