"""Directions that rows never take, against singular values, brute force and training itself."""

import numpy as np
import pytest
import torch
from torch import nn

from offmap.numerics.span import alone, faint, frozen, outside, span_of, trained


def normal(generator, *shape):
    return torch.randn(*shape, dtype=torch.double, generator=generator)


def plane(generator, n=60, d=12, k=4, offset=3.0):
    """Rows on a k-dimensional affine subspace, and an orthonormal basis of its directions."""
    basis = torch.linalg.qr(normal(generator, d, k)).Q
    return normal(generator, n, k) @ basis.T + offset * normal(generator, d), basis


def distance_to_hull(rows, point):
    """Least squares on differences to the first row: the slow obvious way."""
    edges = (rows[1:] - rows[0]).T.numpy()
    gap = (point - rows[0]).numpy()
    return float(np.linalg.norm(gap - edges @ np.linalg.lstsq(edges, gap, rcond=None)[0]))


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("offset", [0.0, 3.0, 1000.0])
def test_dimension_is_the_rank(generator, affine, offset):
    rows, _ = plane(generator, offset=offset)
    span = span_of(rows.split(7), affine=affine)
    reference = rows - rows.mean(dim=0) if affine else rows
    assert 12 - span.codimension == np.linalg.matrix_rank(reference.numpy(), tol=1e-5)
    assert span.rows == 60
    torch.testing.assert_close(span.unseen.T @ span.unseen, torch.eye(span.codimension).double())
    assert (reference @ span.unseen).abs().max() < 1e-9 * (1 + offset)


def test_the_origin_counts_only_where_there_is_no_bias(generator):
    rows, _ = plane(generator)
    assert span_of([rows]).codimension == 8
    assert span_of([rows], affine=False).codimension == 7


def test_flat_coordinates_are_found_exactly(generator):
    rows = normal(generator, 50, 6)
    rows[:, 2], rows[:, 4] = 0.0, 5.0
    rows[:, 5] = rows[:, 0] - rows[:, 1]
    span = span_of(rows.split(20))
    assert span.flat.tolist() == [2, 4]
    assert span.unseen.shape == (6, 1)
    direction = torch.tensor([1.0, -1, 0, 0, 0, -1]).double() / 3**0.5
    assert abs(span.unseen[:, 0] @ direction) == pytest.approx(1, abs=1e-12)
    assert span_of([rows], affine=False).flat.tolist() == [2]


def test_share_outside_has_a_closed_form(generator):
    rows, basis = plane(generator)
    span = span_of([rows])
    inside = normal(generator, 5, 4) @ basis.T + rows[:1]
    assert (outside(span, inside) == 0).all()
    across = torch.linalg.qr(torch.cat([basis, normal(generator, 12, 1)], dim=1)).Q[:, -1]
    moved = inside + 2 * across
    along = (inside - rows.mean(dim=0)).square().sum(dim=1)
    torch.testing.assert_close(outside(span, moved), 4 / (4 + along))
    point = normal(generator, 1, 12)
    gap = distance_to_hull(rows, point[0]) ** 2 / (point - rows.mean(dim=0)).square().sum()
    assert outside(span, point).item() == pytest.approx(float(gap))


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e5])
def test_single_precision_is_rounding_and_not_a_direction(generator, scale):
    rows = plane(generator, n=500, d=40, k=7)[0]
    rows = (scale * rows).float()
    span = span_of(rows.split(64))
    assert span.codimension == 33
    assert (outside(span, rows) == 0).all()


def test_turning_and_moving_the_data_changes_nothing(generator):
    rows, _ = plane(generator)
    points = normal(generator, 9, 12)
    turn = torch.linalg.qr(normal(generator, 12, 12)).Q
    moved = [3 * values @ turn + 7 for values in (rows, points)]
    one, other = span_of([rows]), span_of([moved[0]])
    torch.testing.assert_close(outside(one, points), outside(other, moved[1]))
    torch.testing.assert_close(
        faint(one, points - one.center), faint(other, moved[1] - other.center)
    )
    order = torch.randperm(60, generator=generator)
    again = span_of(rows[order].split(11))
    torch.testing.assert_close(outside(one, points), outside(again, points))


def test_reading_stops_when_everything_has_been_seen(generator):
    rows = normal(generator, 1000, 10).split(25)
    read = []

    def watched():
        for chunk in rows:
            read.append(len(chunk))
            yield chunk

    span = span_of(watched())
    assert span.codimension == 0
    assert span.rows == sum(read) == 50
    blind = torch.cat([torch.cat(rows), torch.zeros(1000, 1).double()], dim=1)
    assert span_of(blind.split(25)).rows == 1000


def test_a_direction_seen_once_is_seen(generator):
    rows = normal(generator, 400, 6)
    rows[:, 5] = 0
    rows[399, 5] = 1e-3
    assert span_of(rows.split(50)).codimension == 0
    rows[399, 5] = 1e-7  # below 1e-6 of the largest singular value
    span = span_of(rows.split(50))
    assert span.codimension == 1
    assert len(span.flat) == 0


def test_in_too_many_dimensions_only_coordinates_are_sought(generator):
    rows = normal(generator, 30, 8)
    rows[:, 3] = 1.0
    rows[:, 0] = rows[:, 1]
    span = span_of([rows], largest=7)
    assert span.moment is None
    assert (span.codimension, span.flat.tolist()) == (1, [3])
    rows[0, 3] = 2
    assert outside(span, rows[:2])[1] == 0
    expected = 1 / (rows[0] - span.center).square().sum()
    assert outside(span, rows[:1]).item() == pytest.approx(float(expected))
    with pytest.raises(ValueError, match="raise `largest`"):
        faint(span, rows)


def test_faint_directions_by_their_principal_components(generator):
    rows = normal(generator, 300, 5) * torch.tensor([10.0, 3, 1, 0.1, 0.0])
    span = span_of([rows])
    values, vectors = np.linalg.eigh(np.cov(rows.T.numpy(), bias=True))
    ridge = 1e-2 * values.sum() / 5
    points = normal(generator, 7, 5)
    parts = ((points - rows.mean(dim=0)).numpy() @ vectors) ** 2
    expected = (parts * ridge / (ridge + values)).sum(1) / parts.sum(1)
    away = points - span.center
    np.testing.assert_allclose(faint(span, away, level=1e-2).numpy(), expected, rtol=1e-9)
    assert (faint(span, away) >= outside(span, points)).all()


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("n", [6, 12, 40])
def test_leaving_one_out_is_what_leaving_it_out_gives(generator, affine, n):
    """Fewer rows than dimensions, about as many, more; one of them alone in its direction."""
    rows = normal(generator, n, 12) + 2
    rows[:, 11] = 0.0
    rows[3, 11] = 0.5
    found = alone(span_of([rows], affine=affine), rows)
    for row in range(n):
        others = rows[torch.arange(n) != row]
        center = others.mean(dim=0) if affine else torch.zeros(12).double()
        others = others if affine else torch.cat([torch.zeros(1, 12).double(), others])
        gap = distance_to_hull(others, rows[row]) ** 2 / (rows[row] - center).square().sum()
        assert found[row].item() == pytest.approx(float(gap), abs=1e-7)
    assert found[3] > 0


def network(generator, bias=True):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(100, 50, bias=bias), nn.ReLU(), nn.Linear(50, 3)).double()


@pytest.mark.parametrize(
    ("affine", "momentum", "decay"), [(True, 0.9, 0.0), (False, 0.0, 0.0), (True, 0.0, 1e-3)]
)
def test_gradient_descent_never_moves_the_frozen_part(generator, affine, momentum, decay):
    """Data on a 10-dimensional subspace of R^100; with weight decay it shrinks as predicted."""
    rows, _ = plane(generator, n=200, d=100, k=10, offset=0.3 * affine)
    targets = torch.randint(3, (200,), generator=generator)
    model = network(generator, bias=affine)
    first = model[0]
    assert isinstance(first, nn.Linear)
    span = span_of([rows], affine=affine)
    assert span.codimension == 90
    before = frozen(span, first.weight, first.bias)
    start = first.weight.detach().clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=momentum, weight_decay=decay)
    for step in range(300):
        some = torch.arange(32) * 7 + step
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(rows[some % 200]), targets[some % 200])
        loss.backward()
        optimizer.step()
    after = frozen(span, first.weight, first.bias)
    for one, other in zip(before, after, strict=True):
        if one is not None and other is not None:
            torch.testing.assert_close(other, one * (1 - 0.1 * decay) ** 300, rtol=1e-8, atol=1e-10)
    assert (first.weight.detach() - start).norm() > 0.1 * start.norm()  # the rest did move


@pytest.mark.parametrize("affine", [True, False])
def test_without_its_frozen_part_a_layer_answers_the_same_on_the_span(generator, affine):
    rows, _ = plane(generator, offset=2.0)
    span = span_of([rows], affine=affine)
    weight = normal(generator, 5, 12)
    bias = normal(generator, 5) if affine else None
    less, less_bias = trained(span, weight, bias)
    plain = nn.functional.linear(rows, weight, bias)
    torch.testing.assert_close(
        nn.functional.linear(rows, less, less_bias), plain, rtol=1e-12, atol=1e-12
    )
    part, part_bias = frozen(span, less, less_bias)
    assert part.abs().max() < 1e-12
    assert part_bias is None or part_bias.abs().max() < 1e-12
    assert (less - weight).norm() > 0.1


def test_frozen_part_against_the_projector(generator):
    """Of (W, b) onto the complement of the span of all (x, 1), by the singular vectors."""
    rows, _ = plane(generator)
    rows[:, 3] = 2.0
    span = span_of([rows])
    whole = torch.cat([rows, torch.ones(60, 1).double()], dim=1)
    _, values, vectors = torch.linalg.svd(whole, full_matrices=True)
    null = vectors[int((values > 1e-9).sum()) :]
    layer = torch.cat([normal(generator, 5, 12), normal(generator, 5, 1)], dim=1)
    weight, bias = frozen(span, layer[:, :12], layer[:, 12])
    assert bias is not None
    torch.testing.assert_close(torch.cat([weight, bias[:, None]], dim=1), layer @ null.T @ null)


def test_equal_rows_and_one_row():
    for rows in (torch.ones(5, 3), torch.ones(1, 3)):
        span = span_of([rows])
        assert span.codimension == 3
        assert outside(span, torch.tensor([[1.0, 1, 1], [1, 1, 2]])).tolist() == [0, 1]
        assert faint(span, torch.tensor([[0.0, 0, 0], [0, 0, 1]])).tolist() == [0, 1]
        assert alone(span, rows).tolist() == [0] * len(rows)
    zero = span_of([torch.zeros(4, 2)], affine=False)
    assert zero.codimension == 2
    assert alone(zero, torch.zeros(4, 2)).tolist() == [0] * 4


def test_says_what_is_wrong():
    with pytest.raises(ValueError, match="rows, got none"):
        span_of([torch.ones(0, 3)])
    with pytest.raises(ValueError, match="tolerance < 1, got 1"):
        span_of([torch.ones(2, 3)], tolerance=1.0)
    span = span_of([torch.ones(2, 3)])
    with pytest.raises(ValueError, match="level > 0, got 0"):
        faint(span, torch.ones(1, 3), level=0.0)
    with pytest.raises(ValueError, match="got no bias, affine"):
        frozen(span, torch.ones(1, 3))
    with pytest.raises(ValueError, match="got a bias, linear"):
        frozen(span_of([torch.ones(2, 3)], affine=False), torch.ones(1, 3), torch.ones(1))
