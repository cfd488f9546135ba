import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from offmap.attempt import InputError
from offmap.score import Seen
from offmap.scores import neighbor_disagreement as module
from offmap.scores.neighbor_disagreement import neighbor_disagreement


@pytest.fixture
def train(generator):
    """Three classes side by side, which overlap a little."""
    labels = torch.arange(300) % 3
    means = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    return means[labels] + torch.randn(300, 2, generator=generator) + 50, labels


def said(predicted, features):
    """What is seen of a network that gives these answers."""
    return Seen(features, torch.nn.functional.one_hot(predicted, 3).float(), features)


@pytest.mark.usefixtures("in_small_reads")
@pytest.mark.parametrize("k", [1, 20])
def test_is_the_weighted_share_of_scikit_learns_neighbors(labeled, fit, train, generator, k):
    features, labels = train
    new = 50 + 4 * torch.randn(60, 2, generator=generator)
    predicted = torch.randint(0, 3, (60,), generator=generator)
    score = fit(neighbor_disagreement, labeled(features, labels), k=k)
    index = NearestNeighbors().fit(features.double().numpy())
    width = sorted(index.kneighbors(n_neighbors=k)[0][:, -1])[149]
    distance, rows = index.kneighbors(new.double().numpy(), n_neighbors=k)
    truth = []
    for row, those in enumerate(rows):
        against, total = 2 / 3, 1.0
        for apart, neighbor in zip(distance[row], those, strict=True):
            weight = 1 / (1 + (apart / width) ** 2)
            total += weight
            against += weight * (labels[neighbor] != predicted[row]).item()
        truth.append(against / total)
    assert score(said(predicted, new)).tolist() == pytest.approx(truth, rel=1e-4)


def test_orders_agreement_dispute_and_contradiction(labeled, fit, train):
    score = fit(neighbor_disagreement, labeled(*train))
    places = 50 + torch.tensor([[0.0, 0.0], [2.0, 0.0], [4.0, 0.0]])
    agree, dispute, contradict = score(said(torch.zeros(3).long(), places)).tolist()
    assert agree < 0.2 < 0.35 < dispute < 0.65 < 0.8 < contradict


def test_knows_mistakes(labeled, fit, train, generator):
    """Of the network's answers to overlapping classes, the wrong ones are disputed."""
    features, labels = train
    score = fit(neighbor_disagreement, labeled(features, labels))
    wrong = (labels + 1) % 3
    values = score(said(labels, features)), score(said(wrong, features))
    assert (values[1][:, None] > values[0]).double().mean() > 0.97


def test_where_all_agree_the_farther_is_the_stranger(labeled, fit, train):
    """Up to the share of a blind guess; no two of them tie."""
    score = fit(neighbor_disagreement, labeled(*train))
    steps = torch.tensor([0.0, 2.0, 5.0, 10.0, 100.0, 1e4])
    away = 50 - steps[:, None] * torch.ones(1, 2)
    values = score(said(torch.zeros(6).long(), away))
    assert (values.diff() > 0).all()
    assert values[-1].item() == pytest.approx(2 / 3, abs=1e-3)


def test_names_of_classes_are_no_matter(labeled, fit, train, generator):
    features, labels = train
    predicted = torch.randint(0, 3, (300,), generator=generator)
    one = fit(neighbor_disagreement, labeled(features, labels))
    other = fit(neighbor_disagreement, labeled(features, 2 - labels))
    assert torch.allclose(one(said(predicted, features)), other(said(2 - predicted, features)))


def test_the_width_is_taken_from_a_sample(labeled, fit, train, monkeypatch):
    features, labels = train
    whole = fit(neighbor_disagreement, labeled(features, labels))
    monkeypatch.setattr(module, "SAMPLE", 60)
    some = fit(neighbor_disagreement, labeled(features, labels))
    assert some.width != whole.width
    assert some.width.item() == pytest.approx(whole.width.item(), rel=0.2)


def test_a_thinned_bank_keeps_labels_beside_rows(labeled, fit, train):
    features, labels = train
    score = fit(neighbor_disagreement, labeled(features, labels), bank=80, k=5)
    rows = torch.cdist(score.bank + score.center, features).argmin(dim=1)
    assert torch.equal(score.labels, labels[rows])
    wrong = (labels + 1) % 3
    assert score(said(labels, features)).mean() < score(said(wrong, features)).mean() - 0.3


def test_refuses_what_has_no_neighbors(labeled, fit, train):
    features, labels = train
    with pytest.raises(InputError, match="more than k=10 training examples, got 10"):
        fit(neighbor_disagreement, labeled(features[:10], labels[:10]))
    with pytest.raises(InputError, match="features that differ"):
        fit(neighbor_disagreement, labeled(torch.ones(300, 2), labels))
    with pytest.raises(ValueError, match="cannot be fitted: the network does no classification"):
        fit(neighbor_disagreement, labeled(features, None))
