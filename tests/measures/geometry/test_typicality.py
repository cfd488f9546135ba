"""Likelihood on both sides: Gaussian shells, blank pictures, exact levels, and bits."""

import math

import pytest
import torch

from offmap.attempt import CannotMeasure
from offmap.measures.geometry.typicality import typicality
from offmap.run import Domain, Split

LIKELY, UNLIKELY = "too likely", "too unlikely"
BITS = "log2 share of black-and-white inputs like these, at most"
OPEN = Domain((4,), torch.float32)


def read(inputs, train, generator, domain=OPEN, **settings):
    return typicality(
        Split(inputs, name="test"), Split(train), domain, generator=generator, **settings
    )


def test_the_likeliest_point_is_not_typical(generator):
    """N(0, I_100): the mean has the highest density, and is 50 nats too likely: sqrt(d / 2) = 7
    deviations below the shell where the samples lie.
    """
    train = torch.randn(3000, 100, generator=generator)
    inputs = torch.cat([torch.zeros(40, 100), torch.randn(400, 100, generator=generator)])
    reading = read(inputs, train, generator, variance=1.0)
    assert reading.parts[LIKELY].value >= 40 / 440
    assert bool((reading.per_example[:40] < -40).all())
    assert reading.per_example[40:].mean().abs() < 3
    shown = reading.figures[1]
    assert set(shown.rows[-6:, 0].tolist()) <= set(range(40))


def test_the_excess_is_the_difference_of_log_densities(generator):
    """In two dimensions with unit variances: (|x|^2 - median) / 2, median 2 log 2."""
    train = torch.randn(6000, 2, dtype=torch.double, generator=generator)
    inputs = torch.tensor([[0.0, 0.0], [3.0, 0.0]]).double().repeat(40, 1)
    reading = read(inputs, train, generator, variance=1.0)
    assert reading.per_example[0].item() == pytest.approx(-math.log(2), abs=0.1)
    assert reading.per_example[1].item() == pytest.approx(4.5 - math.log(2), abs=0.3)


@pytest.mark.parametrize("law", ["heavy", "mixture"])
def test_the_interval_covers_the_level_whatever_the_law(law, generator):
    """Fresh inputs lie outside with probability 0.05 however wrong the Gaussian is."""

    def draw(n):
        rows = torch.randn(n, 4, dtype=torch.double, generator=generator)
        if law == "heavy":
            return rows / torch.rand(n, 1, dtype=torch.double, generator=generator)
        return rows + 9 * (torch.rand(n, 1, generator=generator) < 0.3) * (law == "mixture")

    covered = 0
    for _ in range(200):
        reading = read(draw(500), draw(1500), generator)
        assert 0.04 < reading.null.value <= 0.05
        covered += reading.low <= 0.05 <= reading.high
    assert 0.90 <= covered / 200 <= 0.99


def test_orders_fresh_noisy_and_foreign_inputs(generator):
    scale = torch.tensor([3.0, 1.0, 0.3, 0.1])

    def draw(n):
        return torch.randn(n, 4, generator=generator) * scale

    train, fresh = draw(1500), draw(400)
    noisy = fresh + 0.3 * torch.randn(400, 4, generator=generator)
    readings = [
        read(inputs, train, torch.Generator().manual_seed(0))
        for inputs in (fresh, noisy, fresh + 8)
    ]
    assert readings[0].low < 0.05 < readings[0].high
    assert readings[0].high < readings[1].low < readings[1].high < readings[2].low
    assert readings[2].value == 1
    blurred = read(0.1 * fresh, train, torch.Generator().manual_seed(0))
    assert blurred.parts[LIKELY].low > 0.5 > 0.1 > blurred.parts[UNLIKELY].high


def test_the_two_tails_add_up(generator):
    train = torch.randn(900, 4, generator=generator)
    inputs = torch.cat([torch.zeros(30, 4), 9 * torch.ones(20, 4), train[:50]])
    reading = read(inputs, train, generator)
    assert reading.value == pytest.approx(
        reading.parts[LIKELY].value + reading.parts[UNLIKELY].value
    )
    assert reading.parts[UNLIKELY].value >= 0.2
    assert reading.low <= reading.value <= reading.high <= 1


def test_black_and_white_inputs_take_the_entropy_of_their_coins(generator):
    """Bits with chances 1/2, 1/10, 0 of being one, of 40: H - 40 in closed form."""
    chance = torch.cat([torch.full((10,), 0.5), torch.full((10,), 0.1), torch.zeros(20)])
    train = (torch.rand(6000, 40, generator=generator) < chance).float()
    low = 10 + 10 * -(0.1 * math.log2(0.1) + 0.9 * math.log2(0.9)) - 40
    unit = Domain((40,), torch.float32, 0.0, 1.0)
    part = read(train[:100], train, generator, unit).parts[BITS]
    # learning 40 coins from 2,000 rows takes about 40 / (2 * 2000 * log 2) bits more
    assert abs(part.value - low) < 4 * (part.high - part.low) / 3.92 + 0.03
    assert BITS not in read(train[:100], train, generator).parts


def test_invariant_to_order_unit_place_and_rotation(generator):
    train, inputs = (torch.randn(n, 4, dtype=torch.double, generator=generator) for n in (600, 90))
    train[:, 0] *= 3
    turn = torch.linalg.qr(torch.randn(4, 4, dtype=torch.double, generator=generator)).Q
    order = torch.randperm(90, generator=generator)
    one = read(inputs, train, torch.Generator().manual_seed(3))
    other = read(
        7 * inputs[order] @ turn + 2, 7 * train @ turn + 2, torch.Generator().manual_seed(3)
    )
    assert other.estimate == one.estimate
    torch.testing.assert_close(other.per_example, one.per_example[order], atol=1e-6, rtol=1e-6)


def test_corners_of_a_box_are_equally_likely(generator):
    """Two corners, each as far from the mean: no density is usual but one, and others are not."""
    train = torch.cat([torch.zeros(150, 3), torch.ones(150, 3)])
    inputs = torch.cat([torch.ones(50, 3), torch.full((50, 3), 0.5)])
    reading = read(inputs, train, generator)
    assert bool(reading.per_example.isfinite().all())
    assert reading.parts[LIKELY].value >= 0.5  # the middle


def test_pictures_of_bytes_are_read(generator):
    train = torch.randint(256, (400, 1, 3, 3), generator=generator).to(torch.uint8)
    reading = read(train[:50], train, generator, Domain((1, 3, 3), torch.uint8, 0, 255, "image"))
    assert reading.parts[BITS].value == pytest.approx(0, abs=0.2)  # all black-and-white inputs


def test_refuses_tokens_few_and_equal_inputs_and_wrong_settings(generator):
    rows = torch.randn(400, 4, generator=generator)
    with pytest.raises(CannotMeasure, match="token numbers have no density"):
        read(rows, rows, generator, Domain((4,), torch.int64, kind="tokens"))
    with pytest.raises(CannotMeasure, match="30 training inputs that differ, got 29 for it"):
        read(rows, rows[:89], generator)
    with pytest.raises(CannotMeasure, match=r"too few for an interval of the 0.95 quantile"):
        read(rows, rows[:213], generator)
    with pytest.raises(CannotMeasure, match="training inputs that differ"):
        read(rows, torch.ones(400, 4), generator)
    with pytest.raises(ValueError, match=r"\(0, 1\), got 0.05 and 1.5"):
        read(rows, rows, generator, variance=1.5)
    with pytest.raises(ValueError, match=r"got 1.0 and 0.9"):
        read(rows, rows, generator, level=1.0)
