"""Pieces of data: gaps that are there, and none where there are none."""

import math

import pytest
import torch
from scipy.stats import special_ortho_group
from sklearn.datasets import load_digits

from offmap.attempt import CannotMeasure
from offmap.figures import Gallery
from offmap.lab import worlds
from offmap.measures.geometry.manifold_components import manifold_components
from offmap.measures.geometry.pieces import chance, cloud_of
from offmap.run import DEFAULT_MEMORY, Domain, Split

VECTOR = Domain((2,), torch.float32)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def read(points, targets=None, *, seed=0, **settings):
    split = Split(points, targets, name="train")
    return manifold_components(split, VECTOR, generator=seeded(seed), **settings)


def arcs(n, gap, generator):
    """Two arcs of 1.2 and 0.8 radians."""
    angles = 2 * torch.rand(n, generator=generator, dtype=torch.double)
    angles += gap * (angles > 1.2)
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def test_finds_a_gap_between_two_arcs_every_time():
    """The largest spacing is about log(400) / 200 = 0.03 radians; the gap is 0.25."""
    just_these = 0
    for seed in range(20):
        points = arcs(400, 0.25, seeded(seed))
        reading = read(points, seed=seed)
        second = torch.atan2(points[:, 1], points[:, 0]) > 1.3
        assert reading.parts["pieces"].value >= 2
        assert reading.parts["widest gap, in steps of its sparser side"].value > 4
        assert reading.parts["chance of such a gap in one piece"].value < 0.05
        just_these += torch.equal(reading.per_example, second.double())
    assert just_these >= 20 * (0.95 - 4 * math.sqrt(0.95 * 0.05 / 20))  # chance cuts further, 5 %


def circle(n, g):
    return worlds.sphere(n, 2, generator=g)


def uneven_circle(n, g):
    angles = 2 * math.pi * torch.rand(n, generator=g, dtype=torch.double) ** 2
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def swiss_roll(n, g):
    t = 1.5 * math.pi * (1 + 2 * torch.rand(n, generator=g, dtype=torch.double))
    height = 21 * torch.rand(n, generator=g, dtype=torch.double)
    return torch.stack([t * t.cos(), height, t * t.sin()], dim=1)


def normal(d):
    return lambda n, g: worlds.gaussian(n, d, generator=g)


def torus(n, g):
    return worlds.torus(n, 2, 5, generator=g)


def cube(d):
    return lambda n, g: torch.rand(n, d, generator=g, dtype=torch.double)


def heavy_tails(n, g):
    """Student's t with three degrees of freedom in the plane."""
    chi = torch.randn(n, 3, generator=g, dtype=torch.double).square().sum(dim=1, keepdim=True)
    return torch.randn(n, 2, generator=g, dtype=torch.double) / (chi / 3).sqrt()


WORLDS = [
    circle, uneven_circle, swiss_roll, torus, normal(1), normal(2), normal(10), cube(1), cube(2),
    cube(3), heavy_tails,
]  # fmt: skip


@pytest.mark.parametrize("world", WORLDS)
def test_one_piece_raises_few_false_alarms(world):
    """With boundary and without, of even and uneven density: at most 5 % by design."""
    rows = torch.arange(150)
    first, *clouds = (
        cloud_of(rows, world(150, seeded(seed)), DEFAULT_MEMORY) for seed in range(61)
    )
    edge = chance([first], 99, seeded(98)).edge()
    gaps = [cloud.gap for cloud in clouds]
    alarms = sum(gap > edge for gap in gaps)
    # The edge itself is one of 99 simulations: its own level is 5 % give or take 2.2 %.
    assert alarms / 60 <= 0.05 + 4 * math.sqrt(0.05 * 0.95 * (1 / 60 + 1 / 99))


def test_glasses_worn_or_not_are_two_pieces_and_by_degrees_one():
    """A bar drawn over digits: of opacity 0 or 1, and of any opacity between."""
    images = torch.tensor(load_digits().images / 16)
    draw = torch.rand(len(images), generator=seeded(0), dtype=torch.double)
    worn, readings = draw < 0.5, []
    for opacity in (worn.double(), draw):
        drawn = images.clone()
        drawn[:, 1:3] += opacity[:, None, None] * (1 - drawn[:, 1:3])
        readings.append(read(drawn.flatten(1)))
    assert [reading.parts["pieces"].value for reading in readings] == [2, 1]
    assert torch.equal(readings[0].per_example == 1, worn if worn.double().mean() < 0.5 else ~worn)
    assert readings[0].parts["chance of such a gap in one piece"].value == 0


def test_islands_of_a_class_are_found_in_one_piece_of_data(generator):
    """Class 1 lies at both ends of what class 0 fills: the whole is connected, the class is not."""
    line = torch.rand(600, generator=generator, dtype=torch.double)
    points = torch.stack([3 * line, torch.rand(600, generator=generator, dtype=torch.double)], 1)
    targets = ((line < 0.25) | (line > 0.8)).long()
    reading = read(points, targets)
    assert reading.value == 0
    assert reading.parts["classes in several pieces"].value == 1
    share = ((line > 0.8).sum() / targets.sum()).item()
    assert reading.parts["class 1: off its largest piece"].value == pytest.approx(share)
    (gallery,) = (figure for figure in reading.figures if isinstance(figure, Gallery))
    assert bool((line[gallery.rows[:, 0]] > 0.8).all())
    assert bool((line[gallery.rows[:, 1]] < 0.25).all())
    assert "class 1 is in 2 pieces" in reading.notes[0]


@pytest.mark.parametrize(("count", "dimension"), [(2, 1), (3, 2)])
def test_balls_apart_are_as_many_pieces(count, dimension, generator):
    points, piece = worlds.pieces(300, dimension, count, gap=1.5, generator=generator)
    reading = read(points, simulations=39)
    assert reading.parts["pieces"].value == count
    assert reading.value == pytest.approx(1 - 1 / count)
    largest = reading.per_example == 0
    assert len(piece[largest].unique()) == 1


def test_isolated_examples_are_no_islands(generator):
    points = torch.randn(300, 2, generator=generator, dtype=torch.double)
    points[7] = torch.tensor([30.0, 0.0])
    points[9] = torch.tensor([-40.0, 5.0])
    reading = read(points)
    assert reading.parts["pieces"].value == 1
    isolated = reading.parts["isolated examples"]
    assert 2 <= round(isolated.value * 300) <= 10
    gallery = reading.figures[-1]
    assert gallery.rows[:2, 0].tolist() == [9, 7]


def test_islands_are_told_apart_from_each_other(generator):
    places = torch.tensor([[0.0, 0.0], [40.0, 0.0], [0.0, 40.0]], dtype=torch.double)
    which = torch.tensor([0] * 200 + [1] * 60 + [2] * 40)
    points = places[which] + torch.randn(300, 2, generator=generator, dtype=torch.double)
    reading = read(points, simulations=39)
    assert reading.parts["pieces"].value == 3
    assert reading.value == pytest.approx(100 / 300)
    gallery = next(figure for figure in reading.figures if isinstance(figure, Gallery))
    assert {caption.partition(",")[0] for caption in gallery.captions} == {
        "piece of 60", "piece of 40",
    }  # fmt: skip
    assert bool((which[gallery.rows[:, 1]] == 0).all())
    curve = reading.figures[0]
    largest, any_piece = curve.series.values()
    assert largest[-1] == any_piece[-1] == 1
    assert float((any_piece - largest).max()) > 0.3


def test_interval_covers_the_share_of_an_island():
    covered = 0
    for seed in range(200):
        generator = seeded(seed)
        points = torch.randn(80, 2, generator=generator, dtype=torch.double)
        points[torch.rand(80, generator=generator) < 0.3] += 60
        reading = read(points, simulations=19)
        covered += reading.low <= 0.3 <= reading.high
    assert 0.90 <= covered / 200 <= 0.99


def test_invariant_to_rotation_unit_and_order(generator):
    points = arcs(200, 0.4, generator)
    turn = torch.from_numpy(special_ortho_group(2, seed=1).rvs())
    order = torch.randperm(200, generator=generator)
    one, other = read(points), read((5 * points @ turn)[order])
    assert other.estimate == one.estimate
    assert torch.equal(other.per_example, one.per_example[order])
    for name, part in one.parts.items():
        assert other.parts[name].value == pytest.approx(part.value), name


def test_reads_a_sample_and_leaves_copies_out(generator):
    points = torch.cat([arcs(300, 0.4, generator)] * 2)
    reading = read(points, examples=200, simulations=19)
    seen = ~reading.per_example.isnan()
    assert 100 < int(seen.sum()) <= 200
    assert len(points[seen].unique(dim=0)) == int(seen.sum()) == reading.estimate.n


def test_refuses_what_has_no_pieces(generator):
    points = torch.randn(60, 2, generator=generator)
    with pytest.raises(CannotMeasure, match="among 50 different examples, got 49"):
        read(points[:49])
    with pytest.raises(CannotMeasure, match="among 50 different examples, got 1"):
        read(torch.ones(60, 2))
    with pytest.raises(CannotMeasure, match="token numbers"):
        tokens = Domain((8,), torch.int64, kind="tokens")
        manifold_components(Split(points, name="train"), tokens, generator=generator)
    with pytest.raises(ValueError, match="examples >= 50 and simulations >= 19, got 40 and 99"):
        read(points, examples=40)
    with pytest.raises(ValueError, match="got 2000 and 5"):
        read(points, simulations=5)
