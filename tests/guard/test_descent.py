import pytest
import torch

from offmap.guard.descent import Ball, descend

NORMS = ("linf", "l2")


def _ball(center, radius=0.5, norm="linf", low=None, high=None):
    return Ball(torch.as_tensor(center, dtype=torch.double), radius, norm, low, high)


def _valued(function):
    def objective(points):
        points = points.detach().requires_grad_()
        value = function(points)
        return value.detach(), torch.autograd.grad(value.sum(), points)[0]

    return objective


@pytest.mark.parametrize("norm", NORMS)
def test_projection_is_the_identity_inside_and_lands_inside(generator, norm):
    ball = _ball(torch.rand(50, 3, 2, generator=generator), 0.3, norm, 0.0, 1.0)
    inside = ball.project(ball.center + 3 * torch.randn(50, 3, 2, generator=generator).double())
    assert ball.holds(inside).all()
    assert torch.allclose(ball.project(inside), inside, rtol=0, atol=1e-12)
    assert ball.distance(inside).max() > 0.29


def test_projection_is_the_nearest_point():
    """Without a domain: by clamping for linf, along the radius for l2."""
    outside = torch.tensor([[3.0, 4.0]], dtype=torch.double)
    assert _ball([[0.0, 0.0]], 1.0, "linf").project(outside).tolist() == [[1.0, 1.0]]
    found = _ball([[0.0, 0.0]], 1.0, "l2").project(outside)
    assert found[0].tolist() == pytest.approx([0.6, 0.8])


def test_holds_says_what_lies_outside():
    center = [[0.5, 0.5]] * 5
    ball = _ball(center, 0.3, "linf", 0.0, 0.7)
    points = [[0.5, 0.5], [0.2, 0.7], [0.1, 0.5], [0.5, 0.75], [0.5, 0.81]]
    assert ball.holds(torch.tensor(points).double()).tolist() == [True, True, False, False, False]
    euclid = _ball(center[:2], 0.3, "l2")
    assert euclid.holds(torch.tensor([[0.7, 0.7], [0.75, 0.75]]).double()).tolist() == [True, False]


@pytest.mark.parametrize("norm", NORMS)
def test_random_points_differ_and_lie_inside(generator, norm):
    ball = _ball(torch.rand(40, 5, generator=generator), 0.2, norm, 0.0, 1.0)
    first, second = ball.draw(generator), ball.draw(generator)
    assert ball.holds(first).all()
    assert (first != second).any(dim=1).all()


def test_a_linear_function_is_lowest_at_the_corner_or_on_the_radius(generator):
    slope = torch.randn(20, 6, generator=generator, dtype=torch.double)
    center = torch.randn(20, 6, generator=generator, dtype=torch.double)
    for norm, dual in (("linf", slope.abs().sum(1)), ("l2", slope.norm(dim=1))):
        ball = _ball(center, 0.5, norm)
        _, least = descend(_valued(lambda x: (slope * x).sum(1)), center, ball, steps=30)
        assert torch.allclose(least, (slope * center).sum(1) - 0.5 * dual)


@pytest.mark.parametrize("norm", NORMS)
def test_a_bowl_is_lowest_at_the_projection_of_its_bottom(generator, norm):
    """Steps must become short: those of constant length end farther off."""
    bottom = 0.3 * torch.randn(30, 4, generator=generator, dtype=torch.double)
    ball = _ball(torch.zeros(30, 4), 0.5, norm)
    best, least = descend(
        _valued(lambda x: (x - bottom).square().sum(1)), ball.center, ball, steps=200
    )
    truth = (ball.project(bottom) - bottom).square().sum(1)
    assert torch.allclose(least, truth, atol=1e-4)
    assert torch.allclose(((best - bottom).square().sum(1)), least)
    assert 5 < int((truth == 0).sum()) < 25  # some bottoms lie inside, some outside


def test_what_is_returned_is_the_best_of_everything_looked_at(generator):
    seen = []
    noisy = torch.Generator().manual_seed(3)

    def objective(points):
        value = torch.rand(len(points), generator=noisy, dtype=torch.double)
        seen.append((points.clone(), value))
        return value, torch.randn(points.shape, generator=noisy, dtype=torch.double)

    ball = _ball(torch.rand(8, 3, generator=generator))
    best, least = descend(objective, ball.center, ball, steps=40)
    values = torch.stack([value for _, value in seen])
    assert len(values) == 41
    assert torch.equal(least, values.amin(dim=0))
    points = torch.stack([point for point, _ in seen])
    assert torch.equal(best, points[values.argmin(dim=0), torch.arange(8)])
    assert all(ball.holds(point).all() for point, _ in seen)


def test_ends_when_every_row_is_done():
    calls = []

    def objective(points):
        calls.append(len(points))
        done = points[:, 0] < -0.2
        return torch.where(done, -torch.inf, points[:, 0]), torch.ones_like(points)

    ball = _ball([[0.0, 0.0], [-0.1, 0.0]])
    best, least = descend(objective, ball.center, ball, steps=100)
    assert (least == -torch.inf).all()
    assert (best[:, 0] < -0.2).all()
    assert len(calls) < 5


def test_no_gradient_is_no_step():
    ball = _ball([[0.3, 0.3]], norm="l2")
    best, _ = descend(
        lambda x: (torch.ones(len(x)).double(), torch.zeros_like(x)), ball.center, ball, steps=5
    )
    assert torch.equal(best, ball.center)


def test_rows_do_not_meet(generator):
    bottom = torch.randn(6, 4, generator=generator, dtype=torch.double)

    def run(rows):
        ball = _ball(torch.zeros(len(rows), 4))
        bowl = _valued(lambda x: (x - bottom[rows]).square().sum(1) * (1 + rows))
        return descend(bowl, ball.center, ball, steps=50)[0]

    together = run(torch.arange(6))
    alone = torch.cat([run(torch.tensor([row])) for row in range(6)])
    assert torch.equal(together, alone)
