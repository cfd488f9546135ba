"""ASH and SCALE, which differ in one thing: whether what is pruned still reaches the head."""

import numpy as np
import pytest
import torch

from offmap.score import Seen
from offmap.scores.ash import ash
from offmap.scores.scale import scale


@pytest.fixture(params=(ash, scale), ids=lambda unit: unit.name)
def unit(request):
    return request.param


def slow(unit, head, features, percentile):
    """The authors' functions, a row at a time: top-k, sums, exponential factor."""
    values = []
    weight, bias = (part.detach().double().numpy() for part in (head.weight, head.bias))
    for row in features.double().numpy():
        left = len(row) - round(len(row) * percentile / 100)
        kept = np.zeros_like(row)
        top = np.argsort(row)[-left:]
        kept[top] = row[top]
        passed = kept if unit is ash else row
        shaped = passed * np.exp(row.sum() / kept.sum())
        values.append(-np.logaddexp.reduce(weight @ shaped + bias))
    return values


@pytest.mark.parametrize("pruned", [0.65, 0.85, 0.9])
def test_is_what_the_authors_compute(unit, behind, fit, linear, generator, pruned):
    head = linear(40, 5)
    train = torch.rand(60, 40, generator=generator)
    score = fit(unit, behind(train, head), pruned=pruned)
    truth = slow(unit, head, train, 100 * pruned)
    assert score(Seen(train, None, train)).tolist() == pytest.approx(truth, rel=1e-5, abs=1e-4)


@pytest.mark.usefixtures("in_small_reads")
def test_refuses_negative_features(unit, behind, fit, linear, generator):
    train = torch.rand(300, 40, generator=generator)
    fit(unit, behind(train, linear(40, 5)))
    train[-1, 7] = -0.25
    with pytest.raises(
        ValueError, match=r"nowhere negative, .*, got -0\.25 at the input of 'head'"
    ):
        fit(unit, behind(train, linear(40, 5)))


@pytest.mark.parametrize("pruned", [0.0, 1.0, 1.5])
def test_refuses_a_share_that_is_none(unit, behind, fit, linear, pruned):
    with pytest.raises(ValueError, match=f"expected pruned between 0 and 1, got {pruned:g}"):
        fit(unit, behind(torch.rand(20, 4), linear(4, 3)), pruned=pruned)


def test_a_row_of_zeros_is_the_bias_alone(unit, behind, fit, linear):
    head = linear(40, 5)
    score = fit(unit, behind(torch.rand(20, 40), head))
    nothing = torch.zeros(1, 40)
    truth = -head.bias.detach().double().logsumexp(dim=0)
    assert score(Seen(nothing, None, nothing)).item() == pytest.approx(truth.item(), rel=1e-6)


def test_the_order_of_features_does_not_matter(unit, behind, fit, linear, generator):
    head, train = linear(40, 5), torch.rand(30, 40, generator=generator)
    train = (4 * train).round() / 4  # with many ties at the threshold
    one = fit(unit, behind(train, head))(Seen(train, None, train))
    with torch.no_grad():
        head.weight.copy_(head.weight.flip(1).clone())
    other = train.flip(1)
    assert torch.allclose(
        fit(unit, behind(other, head))(Seen(other, None, other)), one, rtol=1e-5, atol=1e-5
    )
