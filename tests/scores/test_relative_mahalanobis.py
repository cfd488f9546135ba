import numpy as np
import pytest
import torch
from sklearn.covariance import LedoitWolf

from offmap.attempt import InputError
from offmap.score import Seen
from offmap.scores.mahalanobis import mahalanobis
from offmap.scores.relative_mahalanobis import relative_mahalanobis


@pytest.fixture
def train(generator):
    """Classes that differ along two of eight directions; along the others all vary a lot."""
    labels = torch.arange(200) % 4
    means = torch.zeros(4, 8)
    means[:, :2] = torch.tensor([[5.0, 5], [5, -5], [-5, 5], [-5, -5]])
    width = torch.tensor([1.0] * 2 + [3.0] * 6)
    return means[labels] + width * torch.randn(200, 8, generator=generator), labels


def test_is_the_difference_of_two_of_scikit_learn(labeled, fit, train, generator):
    features, labels = train
    new = 4 * torch.randn(30, 8, generator=generator)
    x, y = features.double().numpy(), new.double().numpy()
    means = np.stack([x[labels == c].mean(0) for c in range(4)])
    within = LedoitWolf(assume_centered=True).fit(x - means[labels])
    near = np.min([within.mahalanobis(y - mean) for mean in means], axis=0)
    truth = near - LedoitWolf().fit(x).mahalanobis(y)
    score = fit(relative_mahalanobis, labeled(features, labels))
    assert score(Seen(new, None, new)).tolist() == pytest.approx(truth.tolist(), rel=1e-6)


def test_what_all_classes_share_does_not_count(labeled, fit, train):
    """A step along a shared direction moves it little; one between the classes, much."""
    features, labels = train
    known = labeled(features, labels)
    relative, plain = fit(relative_mahalanobis, known), fit(mahalanobis, known)
    center = torch.tensor([[5.0, 5] + [0.0] * 6])
    shared = center + 9 * torch.eye(8)[7]
    between = torch.zeros(1, 8)

    def moved(score, there):
        return (score(Seen(there, None, there)) - score(Seen(center, None, center))).item()

    assert moved(plain, shared) > 5
    assert abs(moved(relative, shared)) < 2
    assert moved(relative, between) > 20


def test_refuses_to_compare_one_class_with_itself(labeled, fit, train):
    features, labels = train
    with pytest.raises(InputError, match="at least 2 classes, got those of one"):
        fit(relative_mahalanobis, labeled(features, torch.zeros_like(labels)))
    with pytest.raises(InputError, match="at least 2 classes, got none"):
        fit(relative_mahalanobis, labeled(features, None))
