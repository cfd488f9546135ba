import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from sklearn.covariance import EmpiricalCovariance

from offmap.score import Seen
from offmap.scores.virtual_logit import _principal, virtual_logit


def authors(head, train, new, dimension):
    """The authors' script (github.com/haoqiwang/vim, benchmark.py), with their sign turned."""
    w, b = (part.detach().double().numpy() for part in (head.weight, head.bias))
    train, new = train.double().numpy(), new.double().numpy()
    u = -np.matmul(np.linalg.pinv(w), b)
    covariance = EmpiricalCovariance(assume_centered=True).fit(train - u)
    values, vectors = np.linalg.eig(covariance.covariance_)
    null = np.ascontiguousarray((vectors.T[np.argsort(values * -1)[dimension:]]).T)
    length = np.linalg.norm(np.matmul(train - u, null), axis=-1)
    alpha = (train @ w.T + b).max(axis=-1).mean() / length.mean()
    virtual = np.linalg.norm(np.matmul(new - u, null), axis=-1) * alpha
    return virtual - logsumexp(new @ w.T + b, axis=-1)


@pytest.mark.parametrize("dimension", [None, 1, 7, 11])
@pytest.mark.usefixtures("in_small_reads")
def test_is_what_the_authors_compute(behind, fit, linear, generator, dimension):
    head = linear(12, 4)
    train = (torch.randn(300, 12, generator=generator) * torch.arange(1, 13)).relu()
    new = 5 * torch.randn(50, 12, generator=generator)
    score = fit(virtual_logit, behind(train, head), dimension=dimension)
    truth = authors(head, train, new, dimension or 6)
    assert score(Seen(new, None, new)).tolist() == pytest.approx(truth.tolist(), rel=1e-4, abs=1e-4)


def flat_world(generator, wide=12, filled=4):
    """Features that fill `filled` of `wide` directions, and a turn that hides which."""
    turn = torch.linalg.qr(torch.randn(wide, wide, generator=generator)).Q
    inside = torch.zeros(200, wide)
    inside[:, :filled] = torch.randn(200, filled, generator=generator)
    return inside @ turn, turn


def test_a_step_off_the_directions_of_training_is_strange(behind, fit, linear, generator):
    """Though no logit notices it."""
    train, turn = flat_world(generator)
    head = linear(12, 3, bias=False)
    with torch.no_grad():
        head.weight.copy_(head.weight @ (turn.T[:, :4] @ turn[:4]))  # it reads these four alone
    score = fit(virtual_logit, behind(train, head))
    usual = score(Seen(train, None, train))
    steps = [score(Seen(train, None, train + size * turn[8])) for size in (1.0, 10.0, 100.0)]
    with torch.no_grad():
        assert torch.allclose(head(train), head(train + 100 * turn[8]), atol=1e-3)
    assert (steps[0] > usual - 1e-3).all()
    assert (steps[1] > steps[0]).all()
    growth = (steps[2] - steps[1]) / 90
    alpha = score.residual.norm(dim=0)
    assert torch.allclose(growth, alpha[0].expand(200), rtol=0.05)
    assert torch.allclose(alpha, alpha[0].expand(10))  # directions of one length: alpha


def test_empty_directions_do_not_blow_the_factor_up(behind, fit, linear, generator):
    """Two of the four directions that are filled are principal, not six of all twelve."""
    train, _ = flat_world(generator)
    score = fit(virtual_logit, behind(train, linear(12, 3)))
    assert score.residual.shape == (12, 10)
    rows = (train.double() - score.origin) @ score.residual
    largest = (train @ score.weight.T + score.bias).amax(dim=1).mean()
    assert rows.norm(dim=1).mean().item() == pytest.approx(largest.item(), rel=1e-5)


@pytest.mark.parametrize("dimension", [0, -1, 4, 5, 12])
def test_refuses_a_dimension_without_a_residual(behind, fit, linear, generator, dimension):
    train, _ = flat_world(generator)
    with pytest.raises(
        ValueError, match=f"at least 1 and below 4, the number .* fill, got {dimension}"
    ):
        fit(virtual_logit, behind(train, linear(12, 3, bias=False)), dimension=dimension)


def test_refuses_logits_that_are_negative(behind, fit, linear, generator):
    head = linear(6, 3)
    with torch.no_grad():
        head.bias.sub_(100)
    train = torch.randn(50, 6, generator=generator)
    with pytest.raises(ValueError, match="positive on average over training data, got -9"):
        fit(virtual_logit, behind(train, head))


def test_refuses_features_that_are_not_finite(behind, fit, linear):
    train = torch.rand(300, 6)
    train[299, 2] = torch.inf
    with pytest.raises(ValueError, match="expected finite features at 'head', got NaN or infinity"):
        fit(virtual_logit, behind(train, linear(6, 3)))


def test_refuses_features_too_wide_for_the_memory(behind, fit, linear):
    known = behind(torch.rand(20, 100), linear(100, 3), memory=100_000)
    with pytest.raises(
        ValueError, match=r"expected room for second moments of 100 features at 'head', 320"
    ):
        fit(virtual_logit, known)


def test_the_number_of_principal_directions():
    counts = (2, 3, 512, 767, 768, 2047, 2048, 4096)
    assert [_principal(count) for count in counts] == [1, 1, 256, 383, 512, 512, 1000, 1000]
