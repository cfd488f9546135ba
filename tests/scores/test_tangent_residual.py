from itertools import pairwise

import pytest
import torch
from scipy.stats import rankdata
from torch.nn.functional import normalize

from offmap.attempt import InputError
from offmap.numerics.ranking import auroc_influence
from offmap.score import Seen
from offmap.scores.tangent_residual import tangent_residual


class Ball:
    """Points of the sphere in three dimensions, turned into ten."""

    def __init__(self, generator):
        self.generator = generator
        self.turn = torch.linalg.qr(torch.randn(10, 10, generator=generator)).Q

    def points(self, n):
        return normalize(torch.randn(n, 3, generator=self.generator), dim=1)

    def off(self, n, distance):
        """At a distance from the sphere: half of them across its three dimensions, half outward."""
        points, distance = self.points(n), torch.as_tensor(distance).expand(n)
        rows = torch.cat([points, torch.zeros(n, 7)], dim=1)
        across = torch.cat([torch.zeros(n, 3), torch.randn(n, 7, generator=self.generator)], dim=1)
        away = torch.where((torch.arange(n) % 2 == 0)[:, None], normalize(across, dim=1), rows)
        return (rows + distance[:, None] * away) @ self.turn

    def on(self, n):
        return self.off(n, 0.0)


def area(usual, strange):
    labels = torch.arange(len(usual) + len(strange)) >= len(usual)
    return float(auroc_influence(torch.cat([usual, strange]), labels)[0])


def slow(score, row, discs=3):
    """One row, disc by disc."""
    apart = row.double().flatten() - score.mean
    along = apart @ score.axes
    off = (apart - score.axes @ along).norm()
    nearest = (score.centers.double() - along).norm(dim=1).argsort()[:discs]
    found = []
    for j in nearest.tolist():
        v = along - score.centers[j].double()
        frame = score.frames[j].double()
        inside = frame @ (frame.T @ v)
        beyond = max(0.0, float(inside.norm() - score.radius[j]))
        square = (v - inside).square().sum() + beyond**2 + off**2
        found.append(float(square.sqrt() / score.scale[j]))
    return min(found)


@pytest.fixture(scope="module")
def ball():
    return Ball(torch.Generator().manual_seed(0))


@pytest.mark.parametrize("settings", [{"dimension": 2, "neighbors": 12}, {}, {"bank": 1000}])
def test_tracks_the_distance_from_a_sphere(labeled, fit, ball, settings):
    score = fit(tangent_residual, labeled(ball.on(5000), None), **settings)
    assert score.frames.shape[1:] == (3, 2)  # found, where it is not set
    distance = 0.01 + 0.09 * torch.rand(1000, generator=ball.generator)
    values = score(Seen(ball.off(1000, distance)))
    ranks = torch.stack([torch.from_numpy(rankdata(each)) for each in (values, distance)])
    assert float(ranks.corrcoef()[0, 1]) > 0.95  # Spearman's
    assert area(score(Seen(ball.on(500))), score(Seen(ball.off(500, 0.05)))) > 0.99


def test_in_units_of_what_is_usual_there(labeled, fit, ball):
    score = fit(tangent_residual, labeled(ball.on(5000), None))
    value = score(Seen(ball.off(400, 0.1))) * score.scale.median()
    assert float(value.median()) == pytest.approx(0.1, rel=0.1)


@pytest.mark.usefixtures("in_small_reads")
def test_is_what_one_computes_disc_by_disc(labeled, fit, generator):
    train = torch.randn(200, 3, 3, generator=generator) * torch.linspace(3, 0.3, 9).view(3, 3)
    new = 2 * torch.randn(30, 3, 3, generator=generator)
    for settings in ({"components": 4}, {"variance": 0.999, "dimension": 3}):
        score = fit(tangent_residual, labeled(train, None), **settings)
        truth = [slow(score, row) for row in new]
        assert score(Seen(new)).tolist() == pytest.approx(truth, rel=1e-5)


def test_planes_end(labeled, fit, generator):
    """Along a plane far from all data it is the distance from the end."""
    flat = torch.cat([torch.rand(800, 2, generator=generator), torch.zeros(800, 4)], dim=1)
    flat += 1e-3 * torch.randn(800, 6, generator=generator)
    score = fit(tangent_residual, labeled(flat, None), dimension=2)
    far = torch.tensor([[10.0, 0.5, 0, 0, 0, 0]])
    value = (score(Seen(far)) * score.scale.median()).item()
    assert value == pytest.approx(9, rel=0.1)
    assert score(Seen(flat)).median() < 3


def test_orders_the_usual_the_near_and_the_far(labeled, fit, ball):
    score = fit(tangent_residual, labeled(ball.on(2000), None))
    medians = [score(Seen(ball.off(200, d))).median() for d in (0.0, 0.03, 0.3, 3.0)]
    assert all(3 * low < high for low, high in pairwise(medians))


def test_does_not_see_a_rotation(labeled, fit, generator):
    train = torch.randn(300, 7, generator=generator) * torch.linspace(3, 0.3, 7)
    turn = torch.linalg.qr(torch.randn(7, 7, generator=generator)).Q
    new = 2 * torch.randn(40, 7, generator=generator)
    one, other = (fit(tangent_residual, labeled(rows, None)) for rows in (train, train @ turn))
    assert torch.allclose(one(Seen(new)), other(Seen(new @ turn)), rtol=1e-3)


def test_a_row_is_judged_alone(labeled, fit, ball):
    score, new = fit(tangent_residual, labeled(ball.on(500), None)), ball.off(20, 0.2)
    alone = torch.cat([score(Seen(row[None])) for row in new])
    assert torch.allclose(alone, score(Seen(new)), rtol=1e-6)


def test_the_dimension_is_no_more_than_examples_suffice_for(labeled, fit, generator):
    rows = torch.randn(170, 12, generator=generator)
    assert fit(tangent_residual, labeled(rows, None)).frames.shape[2] == 4  # 10 * 2^4 = 160
    with pytest.raises(InputError, match=r"a dimension from 1 to 4, .* 170 .*, got 5: set a lower"):
        fit(tangent_residual, labeled(rows, None), dimension=5)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"neighbors": 2}, "expected neighbors >= 3, got 2"),
        ({"components": 0}, "expected components >= 1, got 0"),
        ({"variance": 1.5}, r"expected variance in \(0, 1\), got 1.5"),
        ({"bank": 20}, "expected a bank of more than k=20 rows, got bank=20"),
    ],
)
def test_settings_out_of_range_are_refused(labeled, fit, generator, settings, said):
    with pytest.raises(ValueError, match=said):
        fit(tangent_residual, labeled(torch.randn(100, 4, generator=generator), None), **settings)


def test_copies_have_no_dimension(labeled, fit, generator):
    rows = torch.randn(50, 4, generator=generator).repeat(2, 1)
    with pytest.raises(InputError, match=r"of the points equal another one.*; or set dimension"):
        fit(tangent_residual, labeled(rows, None))
    assert fit(tangent_residual, labeled(rows, None), dimension=2).frames.shape[2] == 2
