import numpy as np
import pytest
import torch
from sklearn.covariance import EmpiricalCovariance, LedoitWolf

from offmap.attempt import InputError
from offmap.score import Seen
from offmap.scores.mahalanobis import mahalanobis


@pytest.fixture
def train(generator):
    """Three classes of correlated features, far from the origin."""
    mix = torch.randn(6, 6, generator=generator)
    labels = torch.arange(90) % 3
    means = 5 * torch.randn(3, 6, generator=generator)
    return 100 + means[labels] + torch.randn(90, 6, generator=generator) @ mix, labels


def twin(train, labels, new, covariance):
    """The smallest of scikit-learn's squared distances, class by class."""
    train, labels, new = train.double().numpy(), labels.numpy(), new.double().numpy()
    means = np.stack([train[labels == c].mean(0) for c in np.unique(labels)])
    place = np.searchsorted(np.unique(labels), labels)
    fitted = covariance.fit(train - means[place])
    return np.min([fitted.mahalanobis(new - mean) for mean in means], axis=0)


@pytest.mark.usefixtures("in_small_reads")
@pytest.mark.parametrize(
    ("shrinkage", "covariance"), [(None, LedoitWolf), (0.0, EmpiricalCovariance)]
)
def test_is_what_scikit_learn_computes(labeled, fit, train, generator, shrinkage, covariance):
    features, labels = train
    new = 100 + 10 * torch.randn(40, 6, generator=generator)
    score = fit(mahalanobis, labeled(features, labels), shrinkage=shrinkage)
    truth = twin(features, labels, new, covariance(assume_centered=True))
    assert score(Seen(new, None, new)).tolist() == pytest.approx(truth.tolist(), rel=1e-6)


def test_does_not_see_a_change_of_coordinates(labeled, fit, train, generator):
    """Without shrinkage, any invertible one."""
    features, labels = train
    new = 100 + 10 * torch.randn(40, 6, generator=generator)
    change = torch.randn(6, 6, generator=generator)
    one = fit(mahalanobis, labeled(features, labels), shrinkage=0.0)
    other = fit(mahalanobis, labeled(features @ change - 7, labels), shrinkage=0.0)
    moved = new @ change - 7
    assert torch.allclose(one(Seen(new, None, new)), other(Seen(moved, None, moved)), rtol=1e-2)


def test_numbers_of_classes_are_names(labeled, fit, train):
    """One that no example has takes no part."""
    features, labels = train
    one = fit(mahalanobis, labeled(features, labels))
    other = fit(mahalanobis, labeled(features, 9 - 4 * labels))
    seen = Seen(features, None, features)
    assert torch.allclose(one(seen), other(seen))


def test_orders_the_usual_the_odd_and_the_far(labeled, fit, train, generator):
    features, labels = train
    score = fit(mahalanobis, labeled(features, labels))
    usual = score(Seen(features, None, features))
    between = features[labels == 0].mean(0) / 2 + features[labels == 1].mean(0) / 2
    far = 100 + 100 * torch.randn(20, 6, generator=generator)
    assert usual.median() < score(Seen(between[None], None, between[None])).item()
    assert score(Seen(far, None, far)).min() > usual.max()


def test_one_law_where_there_are_no_classes(labeled, fit, train):
    """As for a regression."""
    features, _ = train
    score = fit(mahalanobis, labeled(features, None))
    truth = LedoitWolf().fit(features.double().numpy())
    values = score(Seen(features, None, features))
    assert values.tolist() == pytest.approx(
        truth.mahalanobis(features.double().numpy()).tolist(), rel=1e-6
    )


def test_a_feature_that_is_never_on_counts_when_it_is(labeled, fit, train):
    """Without shrinkage its variance would be zero, and every input that has it infinitely far."""
    features, labels = train
    dead = torch.cat((features, torch.zeros(90, 1)), 1)
    score = fit(mahalanobis, labeled(dead, labels), shrinkage=0.0)
    usual = score(Seen(dead, None, dead))
    odd = dead + torch.tensor([0.0] * 6 + [1.0])
    strange = score(Seen(odd, None, odd))
    assert usual.isfinite().all() and strange.isfinite().all()
    assert strange.min() > 100 * usual.max()


def test_more_features_than_examples(labeled, fit, generator):
    features = torch.randn(20, 50, generator=generator)
    score = fit(mahalanobis, labeled(features, torch.arange(20) % 2))
    values = score(Seen(3 * features, None, 3 * features))
    assert (values > score(Seen(features, None, features))).all()


def test_refuses_a_class_of_one(labeled, fit, train):
    features, labels = train
    labels = labels.clone()
    labels[4] = 7
    with pytest.raises(InputError, match=r"at least 2 training examples .* got 1 of class 7"):
        fit(mahalanobis, labeled(features, labels))


def test_refuses_features_that_are_the_same_for_all(labeled, fit):
    with pytest.raises(InputError, match="features that vary within classes"):
        fit(mahalanobis, labeled(torch.ones(10, 3), torch.arange(10) % 2))


@pytest.mark.parametrize("shrinkage", [-0.1, 1.5])
def test_refuses_a_shrinkage_out_of_range(labeled, fit, train, shrinkage):
    with pytest.raises(ValueError, match=r"shrinkage in \[0, 1\]"):
        fit(mahalanobis, labeled(*train), shrinkage=shrinkage)


def test_refuses_a_covariance_that_does_not_fit(labeled, fit):
    with pytest.raises(InputError, match="expected room for the covariance of 100 features"):
        fit(mahalanobis, labeled(torch.randn(20, 100), torch.arange(20) % 2, memory=10_000))
