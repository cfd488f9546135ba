"""What is drawn within the bounds, and the bounds themselves."""

import math

import pytest
import torch

from offmap.numerics.noise import Box, box_of, shuffled


def test_bounds_and_moments_of_each_number(generator):
    rows = torch.randn(50, 2, 3, generator=generator, dtype=torch.double)
    box = box_of(rows, None, 4.0)
    assert torch.equal(box.low, torch.from_numpy(rows.numpy().min(axis=0)))
    assert torch.equal(box.high, torch.full((2, 3), 4.0, dtype=torch.double))
    assert torch.allclose(box.mean, torch.from_numpy(rows.numpy().mean(axis=0)))
    assert torch.allclose(box.deviation, torch.from_numpy(rows.numpy().std(axis=0, ddof=1)))


def test_bounds_and_moments_along_axes_together(generator):
    rows = torch.randn(50, 2, 3, generator=generator, dtype=torch.double)
    box = box_of(rows, None, None, together=(1, 2), moments_together=(2,))
    assert box.low.shape == box.mean.shape == (2, 3)
    assert (box.low == rows.min()).all() and (box.high == rows.max()).all()
    for channel in range(2):
        mine = rows[:, channel].flatten().numpy()
        assert box.mean[channel].tolist() == pytest.approx([mine.mean()] * 3)
        assert box.deviation[channel].tolist() == pytest.approx([mine.std(ddof=1)] * 3)


def test_one_row_varies_by_nothing():
    assert box_of(torch.ones(1, 4), None, None).deviation.tolist() == [0, 0, 0, 0]


def test_what_is_drawn_has_its_law(generator):
    low, high = torch.tensor([-1.0, 0.0]).double(), torch.tensor([1.0, 10.0]).double()
    box = Box(low, high, torch.tensor([5.0, -5.0]).double(), torch.tensor([1.0, 3.0]).double())
    n = 4000
    uniform = box.uniform(n, generator)
    share = (uniform - low) / (high - low)
    assert share.min() >= 0 and share.max() <= 1 and uniform.dtype is torch.double
    assert (share.mean(dim=0) - 0.5).abs().max() < 4 / math.sqrt(12 * n)
    assert (share.var(dim=0) - 1 / 12).abs().max() < 4 * math.sqrt(1 / 180 / n)
    assert share.T.corrcoef()[0, 1].abs() < 4 / math.sqrt(n)
    ends = (box.ends(n, generator) - low) / (high - low)
    assert set(ends.unique().tolist()) == {0.0, 1.0}
    assert (ends.mean(dim=0) - 0.5).abs().max() < 4 * 0.5 / math.sqrt(n)
    level = (box.constant(n, generator) - low) / (high - low)
    assert torch.allclose(level[:, 0], level[:, 1])
    assert abs(level[:, 0].mean().item() - 0.5) < 4 / math.sqrt(12 * n)
    normal = (box.gaussian(n, generator) - box.mean) / box.deviation
    assert normal.mean(dim=0).abs().max() < 4 / math.sqrt(n)
    assert (normal.std(dim=0) - 1).abs().max() < 4 / math.sqrt(2 * n)


def test_draws_in_the_type_of_the_box(generator):
    box = box_of(torch.rand(5, 3), 0.0, 1.0)
    for draw in (box.uniform, box.ends, box.constant, box.gaussian):
        assert draw(2, generator).dtype is torch.float32
        assert draw(2, generator).shape == (2, 3)


def test_shuffled_moves_pixels_whole_and_each_row_by_itself(generator):
    images = torch.rand(30, 3, 4, 5, generator=generator)
    made = shuffled(images, generator)
    orders = set()
    for one, other in zip(images.flatten(2), made.flatten(2), strict=True):
        order = (other[0][:, None] == one[0][None]).double().argmax(dim=1)
        assert torch.equal(one[:, order], other)
        assert order.sort().values.tolist() == list(range(20))
        orders.add(tuple(order.tolist()))
    assert len(orders) == 30
    vectors = torch.rand(30, 8, generator=generator)
    made = shuffled(vectors, generator)
    assert torch.equal(made.sort(dim=1).values, vectors.sort(dim=1).values)
    assert not torch.equal(made, vectors)
