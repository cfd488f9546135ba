import pytest
import torch

from offmap.attempt import InputError
from offmap.numerics.hull import membership
from offmap.score import Seen
from offmap.scores.hull_distance import hull_distance


@pytest.fixture
def train(generator):
    """Correlated features far from the origin; the last never varies."""
    mix = torch.randn(8, 8, generator=generator)
    rows = 50 + torch.randn(200, 8, generator=generator) @ mix
    return torch.cat([rows, torch.full((200, 1), 3.0)], dim=1)


@pytest.fixture
def new(train, generator):
    """Fresh features, and some three times as far out."""
    center = train.mean(dim=0)
    noise = 0.8 * train.std(dim=0) * torch.randn(60, 9, generator=generator)
    noise[30:] *= 3
    return center + noise


def seen(rows):
    return Seen(rows, None, rows)


@pytest.mark.usefixtures("in_small_reads")
def test_is_below_the_distance_in_standard_deviations(labeled, fit, train, new):
    score = fit(hull_distance, labeled(train, None))
    covariance = (train.double() - train.double().mean(0)).T.cov(correction=0)
    variance, axes = torch.linalg.eigh(covariance)
    white = axes / variance.clamp_min(0.01 * variance.mean()).sqrt()
    exact = membership(train.double() @ white, new.double() @ white, gap=1e-3)
    values = score(seen(new))
    out = exact.distance_low > 0.5
    assert int(out.sum()) > 30
    assert bool((values <= exact.distance_high.maximum(values.new_tensor(0)) + 1e-5).all())
    assert float((1 - values / exact.distance_low)[out].mean()) < 0.05


def test_orders_the_middle_training_and_the_far(labeled, fit, train, new):
    score = fit(hull_distance, labeled(train, None))
    middle = score(seen(train.mean(dim=0, keepdim=True))).item()
    own = score(seen(train))
    assert middle < float(own.median())
    assert float(own.max()) < 1e-5  # every one is in the hull
    assert float(score(seen(new[30:])).min()) > float(own.max())
    assert len(own.unique()) > 190  # inside, too, scores are graded


def test_what_never_varied_counts(labeled, fit, train):
    moved = train.clone()
    moved[:, -1] += 1
    level = train.double().var(dim=0, correction=0).mean()
    for floor in (0.01, 0.1):
        score = fit(hull_distance, labeled(train, None), floor=floor)
        distance = 1 / (floor * level).sqrt()
        assert bool((score(seen(moved)) <= distance * (1 + 1e-6)).all())
        assert bool((score(seen(moved)) > 0.8 * distance).all())


def test_does_not_see_a_rotation(labeled, fit, train, new, generator):
    turn = torch.linalg.qr(torch.randn(9, 9, generator=generator)).Q
    one, other = fit(hull_distance, labeled(train, None)), fit(
        hull_distance, labeled(train @ turn, None)
    )  # fmt: skip
    there, here = other(seen(new @ turn)), one(seen(new))
    far = here > 0.5
    assert torch.allclose(there[far], here[far], rtol=0.05)


def test_fewer_points_span_less(labeled, fit, train, new):
    """The hull of some points is inside that of all."""
    every, some = (fit(hull_distance, labeled(train, None), points=n) for n in (200, 40))
    assert some.points.shape[0] <= 40
    apart = some(seen(new)) - every(seen(new))
    assert float(apart.min()) > -0.1  # bounds are not equally sharp
    assert float(apart.mean()) > 0.1


def test_a_row_is_judged_alone(labeled, fit, train, new):
    score = fit(hull_distance, labeled(train, None))
    alone = torch.cat([score(seen(row[None])) for row in new[:10]])
    assert torch.allclose(alone, score(seen(new))[:10], atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"points": 1}, "expected points >= 2 and floor > 0, got 1 and 0.01"),
        ({"floor": 0.0}, "expected points >= 2 and floor > 0, got 2000 and 0"),
    ],
)
def test_settings_out_of_range_are_refused(labeled, fit, train, settings, said):
    with pytest.raises(ValueError, match=said):
        fit(hull_distance, labeled(train, None), **settings)


def test_features_without_a_hull_are_refused(labeled, fit, train):
    with pytest.raises(InputError, match="expected training examples that differ, got copies"):
        fit(hull_distance, labeled(torch.ones(20, 3), None))
    with pytest.raises(InputError, match=r"at most 5 values .* got 9: set feature_layer"):
        fit(hull_distance, labeled(train, None, memory=1000))
