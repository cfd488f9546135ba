"""The examples that a guard can name: which, how near, and what they look like."""

import pytest
import torch
from torch.nn import functional

from offmap.guard.atlas import MEMORY_SHARE, SIDE, atlas, eight_bit, small
from offmap.guard.seeing import Sight, known
from offmap.run import Domain, Split
from offmap.score import Seen


@pytest.fixture(scope="module")
def facts(digits_run):
    sight = Sight(digits_run.model, "head", classifies=True)
    return sight, known(sight, digits_run.train, 2**28)


def made(facts, run, **settings):
    asked = {"most": 50, "pictures": True, "seed": 0} | settings
    return atlas(facts[1], run.train, run.domain, **asked)


def test_rows_targets_points_and_pictures_belong_together(facts, digits_run):
    chart = made(facts, digits_run)
    assert len(chart) == len(chart.rows.unique()) == 50
    assert torch.equal(chart.targets, digits_run.train.targets[chart.rows])
    images = digits_run.train.inputs[chart.rows]
    assert torch.equal(chart.pictures, (255 * images).round().byte())
    with torch.no_grad():
        features = facts[0](images).features
    assert torch.allclose(chart.points + chart.center, features, atol=1e-5)


def test_it_finds_the_nearest_of_its_own(facts, digits_run):
    chart = made(facts, digits_run)
    rows = torch.tensor([4, 0, 17])
    with torch.no_grad():
        near = chart(facts[0](digits_run.train.inputs[chart.rows[rows]]), 3)
    assert torch.equal(near.place[:, 0], rows)
    assert torch.equal(near.row, chart.rows[near.place])
    assert (near.distance[:, 0] < 1e-4).all()
    assert (near.distance.diff(dim=1) >= 0).all()
    assert chart(facts[0](digits_run.train.inputs[:2]), 80).row.shape == (2, 50)


def test_the_seed_draws_and_all_are_taken_where_there_is_room(facts, digits_run):
    one, two, other = (made(facts, digits_run, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(one.rows, two.rows)
    assert not torch.equal(one.rows, other.rows)
    assert torch.equal(made(facts, digits_run, most=5000).rows, torch.arange(1200))


def test_pictures_can_be_left_out(facts, digits_run):
    assert made(facts, digits_run, pictures=False).pictures.numel() == 0


def test_it_takes_a_share_of_the_memory_at_most(digits_run):
    sight = Sight(digits_run.model, "head", classifies=True)
    tight = known(sight, digits_run.train, 2**16)
    chart = atlas(tight, digits_run.train, digits_run.domain, most=999, pictures=False, seed=0)
    assert 0 < chart.points.nbytes <= 2**16 / MEMORY_SHARE
    assert len(chart) < 999


def test_inputs_stand_in_where_there_are_no_features(digits_run):
    sight = Sight(digits_run.model, None, classifies=True)
    facts = known(sight, digits_run.train, 2**28)
    chart = atlas(facts, digits_run.train, digits_run.domain, most=30, pictures=True, seed=0)
    assert chart.points.shape == (30, 64)
    near = chart(Seen(digits_run.train.inputs[chart.rows[:2]]), 1)
    assert near.place[:, 0].tolist() == [0, 1]


def test_eight_bits_span_the_domain_or_the_image():
    images = torch.tensor([[[[-1.0, 0.0, 1.0]]], [[[0.0, 0.5, 0.25]]]])
    stated = Domain((1, 1, 3), torch.float32, -1.0, 1.0, "image")
    assert eight_bit(images, stated).flatten().tolist() == [0, 128, 255, 128, 191, 159]
    free = Domain((1, 1, 3), torch.float32, kind="image")
    assert eight_bit(images, free).flatten().tolist() == [0, 128, 255, 0, 255, 128]
    assert eight_bit(torch.full((2, 1, 2, 2), 0.7), free).unique().tolist() == [0]


def test_large_pictures_are_kept_small(generator):
    images = torch.rand(3, 3, 4 * SIDE, 2 * SIDE, generator=generator)
    made = small(images)
    assert made.shape == (3, 3, SIDE, SIDE // 2)
    assert torch.allclose(made, functional.avg_pool2d(images, 4), atol=1e-6)
    assert torch.equal(small(images[..., :9, :7]), images[..., :9, :7])
    assert small(images[:, 0]).shape == (3, SIDE, SIDE // 2)


def test_pictures_of_large_images_go_into_the_atlas(generator):
    class Head(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.head = torch.nn.Linear(3, 2)

        def forward(self, inputs):
            return self.head(inputs.mean(dim=(2, 3)))

    split = Split(torch.rand(12, 3, 130, 70, generator=generator), torch.arange(12) % 2)
    sight = Sight(Head(), "head", classifies=True)
    domain = Domain((3, 130, 70), torch.float32, 0.0, 1.0, "image")
    chart = atlas(known(sight, split, 2**28), split, domain, most=9, pictures=True, seed=0)
    assert chart.pictures.shape == (9, 3, 64, 34)
