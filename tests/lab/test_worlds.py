"""Each synthetic world against the truth that it promises: laws, distances, extreme points."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, ndimage, stats
from scipy.optimize import linprog

from offmap.lab import worlds
from offmap.numerics.hull import membership

N = 4000


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def follows(values, law) -> bool:
    """Not told apart by Kolmogorov and Smirnov, at the level of four standard errors."""
    return stats.kstest(values.numpy(), law).pvalue > 2 * stats.norm.sf(4)


def within(values, truth) -> bool:
    """Whether the mean is the truth, to four standard errors."""
    return abs(values.mean().item() - truth) < 4 * values.std().item() / math.sqrt(len(values))


def coordinate(dimension):
    """The law of one coordinate of a uniform point of the sphere."""
    half = (dimension - 1) / 2
    return stats.beta(half, half, loc=-1, scale=2).cdf


@pytest.mark.parametrize("d", [1, 3, 20])
def test_gaussian_radii_are_chi_and_coordinates_are_uncorrelated(d, generator):
    points = worlds.gaussian(N, d, generator=generator)
    assert points.dtype == torch.double
    assert follows(points.norm(dim=1), stats.chi(d).cdf)
    products = points[:, :1] * points
    for place, column in enumerate(products.T):
        assert within(column, float(place == 0))


@pytest.mark.parametrize("d", [2, 3, 20])
def test_sphere_is_of_its_radius_and_uniform(d, generator):
    points = worlds.sphere(N, d, radius=3, generator=generator)
    torch.testing.assert_close(points.norm(dim=1), torch.full((N,), 3.0, dtype=torch.double))
    turn = worlds.rotation(d, generator=generator)
    for axis in (points[:, 0], points @ turn[0]):
        assert follows(axis / 3, coordinate(d))


@pytest.mark.parametrize("d", [1, 3, 20])
def test_ball_fills_volume_evenly(d, generator):
    points = worlds.ball(N, d, radius=2, generator=generator)
    assert follows((points.norm(dim=1) / 2) ** d, "uniform")
    assert within(points[:, 0].square(), 4 / (d + 2))


def test_rotations_are_orthogonal_and_uniform():
    turns = torch.stack([worlds.rotation(4, generator=seeded(seed)) for seed in range(1000)])
    eye = torch.eye(4, dtype=torch.double).expand(1000, 4, 4)
    torch.testing.assert_close(turns @ turns.mT, eye)
    for row, column in ((0, 0), (3, 3), (1, 2)):
        assert follows(turns[:, row, column], coordinate(4))
    assert within(turns.diagonal(dim1=1, dim2=2).sum(dim=1).square(), 1)  # E tr^2 = 1 (Haar)
    assert within((turns.det() > 0).double(), 0.5)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_torus_spans_two_dimensions_a_circle_and_its_chords_are_those_of_circles(d, generator):
    points = worlds.torus(N, d, 12, generator=generator)
    torch.testing.assert_close(points.square().sum(dim=1), torch.full((N,), d, dtype=torch.double))
    assert int(torch.linalg.matrix_rank(points)) == 2 * d
    chords = (points[::2] - points[1::2]).square().sum(dim=1)  # sum of 2 - 2 cos
    assert within(chords, 2 * d)
    assert within((chords - 2 * d).square(), 2 * d)
    if d == 1:
        assert follows(chords / 4, stats.arcsine.cdf)
    with pytest.raises(ValueError, match=f"expected at least {2 * d} ambient dimensions"):
        worlds.torus(5, d, 2 * d - 1, generator=generator)


def chord_ball(radius: float, d: int) -> float:
    """Share of a torus of one or two circles within a chord of a point, by quadrature."""
    if d == 1:
        return 2 * math.asin(min(1, radius / 2)) / math.pi
    reach = 2 * math.asin(min(1, radius / 2))

    def across(angle: float) -> float:
        return chord_ball(math.sqrt(max(0, radius**2 - 4 * math.sin(angle / 2) ** 2)), 1)

    return integrate.quad(across, 0, reach)[0] / math.pi


@pytest.mark.parametrize("d", [1, 2])
def test_torus_has_the_exact_law_of_nearest_neighbors(d):
    """The nearest of n - 1 others is farther than r with chance (1 - share within r)^(n - 1)."""
    n, shares = 30, []
    for seed in range(300):
        points = worlds.torus(n, d, 2 * d + 1, generator=seeded(seed))
        nearest = (points[1:] - points[0]).norm(dim=1).min().item()
        shares.append((1 - chord_ball(nearest, d)) ** (n - 1))
    assert follows(torch.tensor(shares), "uniform")


@pytest.mark.parametrize("ambient", [2, 4, 8])
def test_every_point_of_the_curve_is_a_vertex_of_its_hull(ambient, generator):
    points = worlds.curve(torch.rand(40, generator=generator), ambient)
    torch.testing.assert_close(points.norm(dim=1), torch.ones(40, dtype=torch.double))
    assert int(torch.linalg.matrix_rank(points - points.mean(dim=0))) == ambient
    for row in range(0, 40, 8):
        others = torch.cat([points[:row], points[row + 1 :]])
        equal = torch.cat([others.T, torch.ones(1, 39)]).numpy()
        program = linprog([0] * 39, A_eq=equal, b_eq=[*points[row].tolist(), 1.0])
        assert program.status == 2  # infeasible
        assert not bool(membership(points[row : row + 1], others).inside.any())


def test_the_curve_closes_and_is_the_trigonometric_one():
    torch.testing.assert_close(
        worlds.curve(torch.tensor([0.25, 1.25]), 5)[0], worlds.curve(torch.tensor([1.25]), 5)[0]
    )
    expected = [math.cos(0.5), math.sin(0.5), math.cos(1), math.sin(1), math.cos(1.5)]
    point = worlds.curve(torch.tensor([0.25 / math.pi], dtype=torch.double), 5)[0]
    torch.testing.assert_close(point, math.sqrt(2 / 5) * torch.tensor(expected).double())


@pytest.mark.parametrize("side", [16, 64])
def test_blobs_move_evenly_from_left_to_right(side):
    positions = torch.linspace(0, 1, 101)
    pictures = worlds.blobs(positions, side)
    pixels = (torch.arange(side, dtype=torch.double) + 0.5) / side
    mass = pictures.sum(dim=(1, 2))
    across = (pictures.sum(dim=1) * pixels).sum(dim=1) / mass
    torch.testing.assert_close(across, 0.2 + 0.6 * positions.double(), atol=3e-3, rtol=0)
    down = (pictures.sum(dim=2) * pixels).sum(dim=1) / mass
    torch.testing.assert_close(down, torch.full((101,), 0.5, dtype=torch.double))
    steps = pictures.diff(dim=0).flatten(1).norm(dim=1)  # equal steps: a curve of even speed
    assert (steps.max() / steps.min()).item() < 1.03


def test_glyphs_are_legible_and_no_two_numbers_look_alike():
    glyphs = worlds.printed_digits(torch.arange(10), 1)
    assert glyphs.shape == (10, 7, 6)
    framed = torch.nn.functional.pad(glyphs, (1, 0, 1, 1))  # so that the outside is one region
    holes = []
    for picture in framed:
        labels = np.zeros((9, 7), dtype=np.int64)
        ndimage.label(1 - picture.numpy(), output=labels)
        holes.append(labels.max())
    assert holes == [3, 1, 1, 1, 2, 1, 2, 1, 3, 2]  # and the outside; the zero has a slash
    apart = (glyphs[:, None] != glyphs[None]).sum(dim=(2, 3))
    assert int((apart + 100 * torch.eye(10, dtype=torch.int64)).min()) >= 4
    numbers = worlds.printed_digits(torch.arange(1000), 3)
    assert len(numbers.flatten(1).unique(dim=0)) == 1000


def test_printed_numbers_are_their_digits_side_by_side_at_any_zoom():
    digits = worlds.printed_digits(torch.arange(10), 1)
    picture = worlds.printed_digits(torch.tensor([407, 7]), 3)
    torch.testing.assert_close(picture[0], torch.cat([digits[4], digits[0], digits[7]], dim=1))
    torch.testing.assert_close(picture[1], torch.cat([digits[0], digits[0], digits[7]], dim=1))
    large = worlds.printed_digits(torch.tensor([407]), 3, zoom=4)
    assert large.shape == (1, 28, 72)
    torch.testing.assert_close(large[0, ::4, ::4], picture[0])
    torch.testing.assert_close(large.sum(), 16 * picture[0].sum())
    for wrong in (-1, 1000):
        with pytest.raises(ValueError, match="expected numbers from 0 to 999"):
            worlds.printed_digits(torch.tensor([5, wrong]), 3)


@pytest.mark.parametrize("gap", [0.5, 3.0])
def test_pieces_are_balls_apart(gap, generator):
    points, piece = worlds.pieces(900, 2, 3, gap=gap, generator=generator)
    assert piece.bincount().tolist() == [300, 300, 300]
    centers = torch.stack([(2 + gap) * piece, torch.zeros(900)], dim=1)
    assert follows((points - centers).norm(dim=1) ** 2, "uniform")
    between = torch.cdist(points[piece == 0], points[piece == 1]).min().item()
    assert gap <= between < gap + 0.3
    far = torch.cdist(points[piece == 0], points[piece == 2]).min().item()
    assert 2 * gap + 2 <= far


@pytest.mark.parametrize("agreement", [0.5, 0.95])
def test_the_attribute_goes_along_for_the_share_that_was_asked(agreement, generator):
    inputs, targets, attributes = worlds.spurious(
        N, 4, agreement=agreement, core=0.7, shortcut=2, generator=generator
    )
    assert within((targets == attributes).double(), agreement)
    assert within(targets.double(), 0.5)
    sides = 2 * torch.stack([targets, attributes], dim=1) - 1
    noise = inputs.clone()
    noise[:, :2] -= torch.tensor([0.7, 2.0]) * sides
    for column in noise.T:
        assert follows(column, "norm")
    with pytest.raises(ValueError, match="at least two dimensions"):
        worlds.spurious(4, 1, agreement=0.9, generator=generator)


@pytest.mark.parametrize("depth", [1, 3])
def test_teachers_have_mean_square_one(depth):
    nets = [worlds.teacher(7, 12, depth=depth, generator=seeded(seed)) for seed in range(1000)]
    points = worlds.gaussian(1000, 7, generator=seeded(2000))
    answers = [net(point) for net, point in zip(nets, points, strict=True)]
    assert within(torch.cat(answers).flatten().square(), 1)
    assert within(torch.cat(answers).flatten(), 0)
    assert len(nets[0]) == 2 * depth + 1
    assert not any(weight.requires_grad for weight in nets[0].parameters())


def test_a_teacher_is_homogeneous_and_varies_less_by_itself_than_over_networks():
    """One hidden layer: over inputs the variance is 1 - 1 / pi on average, by the arc-cosine law.

    The mean over the inputs of one wide network is itself random, with variance
    2 E relu(u) E relu(u') = 1 / pi for independent inputs, whose angle is a right one.
    """
    nets = [worlds.teacher(200, 50, generator=seeded(seed)) for seed in range(200)]
    points = worlds.gaussian(200 * 60, 200, generator=seeded(2000)).split(60)
    own = [net(few).var().item() for net, few in zip(nets, points, strict=True)]
    assert within(torch.tensor(own), 1 - 1 / math.pi)
    torch.testing.assert_close(nets[0](3 * points[0]), 3 * nets[0](points[0]))


def test_the_same_generator_gives_the_same_world():
    for world in (worlds.gaussian, worlds.sphere, worlds.ball):
        assert torch.equal(world(5, 3, generator=seeded(1)), world(5, 3, generator=seeded(1)))
