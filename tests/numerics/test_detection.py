import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from offmap.numerics.detection import detect


def _scores(generator: torch.Generator, values: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Familiar and strange scores; few values: many ties."""
    familiar = torch.randn(90, generator=generator).mul(values).round() / values
    strange = torch.randn(60, generator=generator).add(1).mul(values).round() / values
    return familiar, strange


@pytest.mark.parametrize("values", [1, 3, 1000])
def test_areas_agree_with_scikit_learn(generator, values):
    familiar, strange = _scores(generator, values)
    found = detect(familiar, strange)
    label = np.r_[np.zeros(90), np.ones(60)]
    both = torch.cat([familiar, strange]).numpy()
    assert found.auroc.item() == pytest.approx(roc_auc_score(label, both), abs=1e-12)
    balanced = np.r_[np.full(90, 1 / 90), np.full(60, 1 / 60)]
    assert found.aupr.item() == pytest.approx(
        average_precision_score(label, both, sample_weight=balanced), abs=1e-12
    )


@pytest.mark.parametrize("values", [1, 3, 1000])
@pytest.mark.parametrize("kept", [0.5, 0.9, 0.95])
def test_misses_by_trying_every_threshold(generator, values, kept):
    familiar, strange = _scores(generator, values)
    least = min(
        float((strange <= t).double().mean())
        for t in familiar
        if float((familiar <= t).double().mean()) >= kept
    )
    assert detect(familiar, strange, kept=kept).fpr.item() == pytest.approx(least, abs=1e-12)


def test_weights_are_copies_of_rows(generator):
    familiar, strange = _scores(generator, 3)
    counts = (
        torch.randint(3, (4, 90), generator=generator),
        torch.randint(3, (4, 60), generator=generator),
    )
    drawn = detect(familiar, strange, counts)
    for draw in range(4):
        copies = detect(
            familiar.repeat_interleave(counts[0][draw]), strange.repeat_interleave(counts[1][draw])
        )
        for one, other in zip(drawn, copies, strict=True):
            assert one[draw].item() == pytest.approx(other.item(), abs=1e-12)


def test_extremes():
    low, high = torch.zeros(5), torch.ones(7)
    assert [round(v.item(), 12) for v in detect(low, high)] == [1, 1, 0]
    assert [round(v.item(), 12) for v in detect(high, low)] == [0, 0.5, 1]
    assert [round(v.item(), 12) for v in detect(low, torch.zeros(7))] == [0.5, 0.5, 1]
    infinite = detect(torch.tensor([0.0, 1.0]), torch.tensor([torch.inf]))
    assert infinite.auroc.item() == 1


def test_refuses_what_cannot_be_ranked():
    with pytest.raises(ValueError, match="expected rows on both sides, got 0 and 2"):
        detect(torch.zeros(0), torch.zeros(2))
    with pytest.raises(ValueError, match="got NaN"):
        detect(torch.zeros(2), torch.tensor([0.0, torch.nan]))
