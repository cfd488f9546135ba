import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from offmap.attempt import InputError
from offmap.score import Seen
from offmap.scores import input_neighbors as module
from offmap.scores.input_neighbors import input_neighbors


def seen(inputs):
    return Seen(inputs)


@pytest.fixture
def flat(generator):
    """Inputs of 3 x 4 numbers that fill five directions, in two clouds, one ten times as wide."""
    axes = torch.linalg.qr(torch.randn(12, 12, generator=generator)).Q[:5]
    places = torch.randn(300, 5, generator=generator)
    places[150:] = 0.1 * places[150:] + 20
    return (places @ axes + 3).view(300, 3, 4), axes


def twin(train, new, k, components):
    """scikit-learn's projection and neighbors, with distances off the span as one more axis."""
    train, new = (values.flatten(1).double().numpy() for values in (train, new))
    pca = PCA(components).fit(train)

    def place(rows):
        along = pca.transform(rows)
        off = np.linalg.norm(rows - pca.inverse_transform(along), axis=1)
        return np.column_stack((along, off))

    index = NearestNeighbors().fit(place(train))
    own = index.kneighbors(n_neighbors=k)[0][:, -1]
    distance, rows = index.kneighbors(place(new), n_neighbors=k)
    return distance.mean(axis=1) / own[rows].mean(axis=1)


@pytest.mark.usefixtures("in_small_reads")
@pytest.mark.parametrize(("k", "components"), [(1, 5), (5, 3), (20, 2)])
def test_is_what_scikit_learn_computes(labeled, fit, flat, generator, k, components):
    train, _ = flat
    new = train[:50] + 2 * torch.randn(50, 3, 4, generator=generator)
    score = fit(input_neighbors, labeled(train, None), k=k, components=components, variance=1.0)
    truth = twin(train, new, k, components)
    assert score(seen(new)).tolist() == pytest.approx(truth.tolist(), rel=1e-3)


def test_keeps_as_many_directions_as_hold_the_variance(labeled, fit, flat):
    train, _ = flat
    values = train.flatten(1).double().numpy()
    share = PCA().fit(values).explained_variance_ratio_.cumsum()
    for variance in (0.5, 0.97, 0.999):
        score = fit(input_neighbors, labeled(train, None), variance=variance)
        assert score.axes.shape == (12, int((share < variance).sum()) + 1)
    assert fit(input_neighbors, labeled(train, None), components=2, variance=1.0).axes.shape == (
        12,
        2,
    )


def test_a_stranger_off_the_span_is_strange(labeled, fit, flat):
    """Though its projection is a training input."""
    train, axes = flat
    off = torch.randn(12, generator=torch.Generator().manual_seed(5))
    off -= axes.T @ (axes @ off)
    score = fit(input_neighbors, labeled(train, None))
    usual = score(seen(train))
    strange = score(seen(train[:150] + 20 * (off / off.norm()).view(3, 4)))
    assert strange.min() > 4 * usual.max()


def test_a_step_counts_by_what_is_usual_there(labeled, fit, flat):
    """The same step from the wide cloud and from the narrow one."""
    train, axes = flat
    score = fit(input_neighbors, labeled(train, None))
    step = 2 * axes[0].view(3, 4)
    wide, narrow = score(seen(train[:150] + step)), score(seen(train[150:] + step))
    assert narrow.median() > 3 * wide.median()


def test_does_not_see_the_unit_of_the_inputs(labeled, fit, flat, generator):
    train, _ = flat
    new = train[:50] + torch.randn(50, 3, 4, generator=generator)
    one = fit(input_neighbors, labeled(train, None))
    other = fit(input_neighbors, labeled(255 * train - 100, None))
    assert torch.allclose(one(seen(new)), other(seen(255 * new - 100)), rtol=1e-3)


def test_whole_numbers_are_numbers(labeled, fit, generator):
    train = torch.randint(0, 256, (60, 2, 4), generator=generator, dtype=torch.uint8)
    one = fit(input_neighbors, labeled(train, None))
    other = fit(input_neighbors, labeled(train.float(), None))
    assert torch.equal(one(seen(train)), other(seen(train.float())))


def test_copies_do_not_divide_by_zero(labeled, fit, generator):
    """Half of the inputs are one and the same."""
    train = torch.randn(80, 6, generator=generator)
    train[:40] = train[0]
    score = fit(input_neighbors, labeled(train, None))
    values = score(seen(train))
    assert values.isfinite().all()
    assert values[:40].max() < values[40:].median()
    assert score(seen(train[:1] + 0.5)).isfinite().all()


def test_directions_come_from_a_sample(labeled, fit, flat, monkeypatch):
    """Of a large training split; the neighbors are all of it."""
    train, axes = flat
    monkeypatch.setattr(module, "SAMPLE", 60)
    score = fit(input_neighbors, labeled(train, None), variance=1.0)
    assert len(score.bank) == 300
    assert torch.allclose(axes @ score.axes @ score.axes.T, axes, atol=1e-4)


def test_a_thinned_bank_tells_strangers_too(labeled, fit, flat, generator):
    """And knows the narrow cloud, in which one center would be enough to cover."""
    train, _ = flat
    score = fit(input_neighbors, labeled(train, None), bank=100)
    assert 80 < len(score.bank) == len(score.scale) <= 100
    strange = 20 * torch.randn(100, 3, 4, generator=generator)
    for cloud in (train[:150], train[150:]):
        assert (score(seen(strange))[:, None] > score(seen(cloud))).double().mean() > 0.99
        assert 0.3 < score(seen(cloud)).median() < 2


def test_finds_the_digits_that_it_was_not_shown(labeled, fit):
    """Two of ten held out: the score that has the plain pilots' numbers to live up to."""
    images, labels = load_digits(return_X_y=True)
    images, labels = torch.tensor(images).float() / 16, torch.tensor(labels)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    shown = (labels[order] != 3) & (labels[order] != 8)
    train, test = order[shown][:1_000], order[shown][1_000:]
    score = fit(input_neighbors, labeled(images[train], None))
    usual, strange = score(seen(images[test])), score(seen(images[order[~shown]]))
    noise = torch.rand(200, 64, generator=torch.Generator().manual_seed(1))
    assert (strange[:, None] > usual).double().mean() > 0.9
    assert (score(seen(noise))[:, None] > usual).double().mean() > 0.999


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"components": 0}, "expected components >= 1"),
        ({"variance": 0.0}, r"variance in \(0, 1\]"),
        ({"variance": 1.1}, r"variance in \(0, 1\]"),
        ({"k": 0}, "expected k >= 1"),
    ],
)
def test_refuses_settings_out_of_range(labeled, fit, flat, settings, message):
    with pytest.raises(ValueError, match=message):
        fit(input_neighbors, labeled(flat[0], None), **settings)


def test_refuses_what_has_no_neighbors(labeled, fit):
    with pytest.raises(InputError, match="more than k=10 training examples, got 8"):
        fit(input_neighbors, labeled(torch.randn(8, 3), None))
    with pytest.raises(InputError, match="training inputs that differ"):
        fit(input_neighbors, labeled(torch.ones(80, 3), None))
    with pytest.raises(InputError, match="training inputs that differ"):
        fit(input_neighbors, labeled(torch.eye(3).repeat_interleave(30, dim=0), None))
