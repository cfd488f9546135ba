import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from offmap.attempt import InputError
from offmap.score import Seen
from offmap.scores.reconstruction import reconstruction


@pytest.fixture
def train(generator):
    """Pictures of 4 x 5 pixels on five directions, and a little beside them."""
    axes = torch.linalg.qr(torch.randn(20, 5, generator=generator)).Q
    rows = torch.randn(300, 5, generator=generator) * torch.tensor([5.0, 4, 3, 2, 1]) @ axes.T
    return (2 + rows + 0.1 * torch.randn(300, 20, generator=generator)).view(300, 4, 5)


def residuals(train, new, components):
    """By scikit-learn's components, over their root mean square in training."""
    found = PCA(components, svd_solver="full").fit(train.flatten(1).double().numpy())

    def lengths(rows):
        rows = rows.flatten(1).double().numpy()
        return np.linalg.norm(rows - found.inverse_transform(found.transform(rows)), axis=1)

    return lengths(new) / np.sqrt((lengths(train) ** 2).mean()), found


@pytest.mark.usefixtures("in_small_reads")
@pytest.mark.parametrize("settings", [{"components": 5}, {"components": 1}, {"variance": 0.9}])
def test_is_the_residual_of_principal_components(labeled, fit, train, generator, settings):
    new = 3 * torch.randn(50, 4, 5, generator=generator)
    score = fit(reconstruction, labeled(train, None), **settings)
    wanted = settings.get("components", 0.9)
    truth, found = residuals(train, new, wanted)
    assert score.axes.shape[1] == found.n_components_
    assert score(Seen(new)).tolist() == pytest.approx(truth.tolist(), rel=1e-9)


def test_orders_the_span_training_and_what_is_off_it(labeled, fit, train, generator):
    score = fit(reconstruction, labeled(train, None), components=5)
    mean = train.mean(dim=0, keepdim=True)
    off = train + torch.randn(300, 4, 5, generator=generator)
    assert score(Seen(mean)).item() < 1e-5
    own, strange = score(Seen(train)), score(Seen(off))
    assert float(own.square().mean()) == pytest.approx(1, rel=1e-6)
    assert float(own.max()) < float(strange.min())


def test_does_not_see_a_rotation(labeled, fit, train, generator):
    turn = torch.linalg.qr(torch.randn(20, 20, generator=generator)).Q
    rows, new = train.flatten(1), torch.randn(30, 20, generator=generator)
    one = fit(reconstruction, labeled(rows, None))
    other = fit(reconstruction, labeled(rows @ turn, None))
    assert torch.allclose(one(Seen(new)), other(Seen(new @ turn)), rtol=1e-5)


def test_wide_inputs_are_read_from_a_sample(labeled, fit, generator):
    """No room for a covariance of 400 values: the leading directions are the same."""
    axes = torch.linalg.qr(torch.randn(400, 3, generator=generator)).Q
    rows = 9 * torch.randn(500, 3, generator=generator) @ axes.T
    rows += 0.01 * torch.randn(500, 400, generator=generator)
    new = rows[:20] + torch.randn(20, 400, generator=generator)
    small, large = (
        fit(reconstruction, labeled(rows, None, memory=memory), components=3)
        for memory in (4 * 10**6, 2**30)
    )
    assert not torch.equal(small.axes, large.axes)
    assert torch.allclose(small(Seen(new)), large(Seen(new)), rtol=0.02)


def test_whole_numbers_are_numbers(labeled, fit, generator):
    pixels = torch.randint(256, (60, 3, 3), generator=generator)
    pixels = pixels.to(torch.uint8)
    whole, real = (fit(reconstruction, labeled(rows, None)) for rows in (pixels, pixels.double()))
    assert torch.equal(whole(Seen(pixels)), real(Seen(pixels.double())))


def test_data_on_a_line_leave_nothing(labeled, fit):
    rows = torch.arange(50.0)[:, None] * torch.tensor([1.0, 2.0])
    score = fit(reconstruction, labeled(rows, None))
    assert score(Seen(rows + torch.tensor([1.0, 0.0]))).min() > 1e4
    assert score(Seen(rows)).max() < 1


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"variance": 1.0}, r"expected variance in \(0, 1\), got 1"),
        ({"components": 20}, "expected components from 1 to 19, got 20"),
        ({"components": 0}, "expected components from 1 to 19, got 0"),
    ],
)
def test_settings_out_of_range_are_refused(labeled, fit, train, settings, said):
    with pytest.raises(ValueError, match=said):
        fit(reconstruction, labeled(train, None), **settings)


def test_copies_of_one_example_are_refused(labeled, fit):
    with pytest.raises(InputError, match="expected training examples that differ, got copies"):
        fit(reconstruction, labeled(torch.ones(10, 3), None))
