import numpy as np
import pytest
import torch

from offmap.score import Seen
from offmap.scores.energy import energy
from offmap.scores.react import react


def slow(head, features, ceiling):
    values = []
    for row in features.double().numpy():
        clipped = [min(value, ceiling) for value in row]
        logits = head.weight.detach().double().numpy() @ clipped
        values.append(-np.logaddexp.reduce(logits + head.bias.detach().double().numpy()))
    return values


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("rectified", [True, False])
@pytest.mark.usefixtures("in_small_reads")
def test_is_the_energy_of_clipped_features(behind, fit, linear, generator, share, rectified):
    head = linear(30, 5)
    train = torch.randn(400, 30, generator=generator) + 0.5
    train = train.relu() if rectified else train
    score = fit(react, behind(train, head), share=share)
    ceiling = np.percentile(train.numpy(), 100 * share, method="inverted_cdf")
    assert score.ceiling.item() == ceiling
    strange = 3 * torch.randn(50, 30, generator=generator)
    assert score(Seen(strange, None, strange)).tolist() == pytest.approx(
        slow(head, strange, float(ceiling)), rel=1e-4, abs=1e-4
    )


def test_is_the_plain_energy_where_nothing_is_clipped(behind, fit, linear, generator):
    head = linear(8, 3)
    train = torch.randn(300, 8, generator=generator)
    known = behind(train, head)
    score = fit(react, known, share=0.9)
    low = train.clamp_max(score.ceiling.item())
    with torch.no_grad():
        seen = Seen(low, head(low), low)
    assert torch.allclose(score(seen), fit(energy, known)(seen), rtol=1e-5, atol=1e-5)


def test_one_feature_driven_high_does_not_reassure(behind, fit, linear, generator):
    """What the paper is about: energy calls it ever more familiar, ReAct does not."""
    head = linear(20, 4)
    train = torch.randn(300, 20, generator=generator).relu()
    known = behind(train, head)
    strange = train[:100].clone()
    driven = int(head.weight.amax(dim=0).argmax())
    strange[:, driven] = 1e3
    stranger = strange.clone()
    stranger[:, driven] = 1e6
    with torch.no_grad():
        one, other = (Seen(x, head(x), x) for x in (strange, stranger))
    plain, clipped = fit(energy, known), fit(react, known)
    assert (plain(one) - plain(other) > 1e5).all()
    assert torch.equal(clipped(one), clipped(other))


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0])
def test_refuses_a_share_that_is_none(behind, fit, linear, share):
    with pytest.raises(ValueError, match="expected share between 0 and 1, got"):
        fit(react, behind(torch.rand(20, 4), linear(4, 3)), share=share)


def test_refuses_where_clipping_would_leave_nothing(behind, fit, linear):
    """Nineteen of twenty features are zero: so is the ceiling."""
    sparse = torch.zeros(20, 20).fill_diagonal_(1.0)
    known = behind(sparse, linear(20, 3))
    with pytest.raises(ValueError, match=r"got 0 for a share of 0\.9 of them .*set share higher"):
        fit(react, known)
    assert fit(react, known, share=0.96).ceiling.item() == 1.0
