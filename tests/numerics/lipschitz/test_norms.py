"""Norms of matrices and convolutions, against explicit matrices."""

import itertools
import math

import pytest
import torch
from torch.nn import functional

from offmap.numerics.lipschitz.norms import (
    circular_spectrum,
    convolution_bound,
    convolution_estimate,
    matrix_bound,
)

PLAIN = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1)}


def explicit(function, *shape):
    """The matrix of a linear function of tensors [n, *shape]."""
    count = torch.tensor(shape).prod()
    basis = torch.eye(count, dtype=torch.double).view(count, *shape)
    return function(basis).flatten(1).T


def circular(kernel, size):
    """A convolution that wraps around, by definition: one entry at a time."""
    o, i, *taps = kernel.shape
    matrix = torch.zeros(o, *size, i, *size, dtype=torch.double)
    for place in itertools.product(*map(range, size)):
        for tap in itertools.product(*map(range, taps)):
            source = tuple((p + t) % n for p, t, n in zip(place, tap, size, strict=True))
            matrix[(slice(None), *place, slice(None), *source)] += kernel[(..., *tap)]
    count = torch.tensor(size).prod()
    return matrix.reshape(o * count, i * count)


@pytest.mark.parametrize(
    ("kernel", "size"), [((3, 2, 3, 3), (6, 6)), ((2, 4, 3, 2), (5, 4)), ((2, 3, 4), (7,))]
)
def test_the_spectrum_of_a_circular_convolution_is_exact(generator, kernel, size):
    weights = torch.randn(kernel, dtype=torch.double, generator=generator)
    truth = torch.linalg.svdvals(circular(weights, size))
    found = circular_spectrum(weights, size)
    torch.testing.assert_close(found[: len(truth)], truth, rtol=0, atol=1e-13)
    naive = torch.linalg.matrix_norm(weights.flatten(1), 2)
    assert naive < found[0]  # the reshaped kernel is no bound


def test_a_map_smaller_than_the_kernel_is_refused(generator):
    with pytest.raises(ValueError, match=r"no smaller than the kernel \[3, 3\], got \[2, 5\]"):
        circular_spectrum(torch.zeros(1, 1, 3, 3), (2, 5))


CASES = [
    # out, in, kernel, size, stride, padding, dilation, groups
    (3, 2, (3, 3), (6, 6), (1, 1), (1, 1), (1, 1), 1),
    (3, 2, (3, 3), (7, 5), (2, 2), (1, 1), (1, 1), 1),
    (4, 4, (3, 2), (6, 8), (2, 3), (0, 1), (1, 2), 2),
    (4, 4, (3, 3), (6, 6), (1, 1), (1, 1), (1, 1), 4),
    (2, 2, (1, 1), (6, 6), (2, 2), (0, 0), (1, 1), 1),
    (2, 3, (5, 5), (5, 5), (1, 1), (2, 2), (1, 1), 1),
    (2, 3, (3, 3), (4, 4), (1, 1), (4, 4), (1, 1), 1),
    (2, 2, (3,), (9,), (2,), (2,), (3,), 1),
    (2, 1, (2, 2, 2), (3, 4, 3), (1, 2, 1), (1, 1, 0), (1, 1, 1), 1),
]


@pytest.mark.parametrize("case", CASES)
def test_the_norm_with_zero_padding_lies_between_its_bounds(generator, case, monkeypatch):
    o, i, kernel, size, stride, padding, dilation, groups = case
    weights = torch.randn(o, i // groups, *kernel, dtype=torch.double, generator=generator)
    settings = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    run = (functional.conv1d, functional.conv2d, functional.conv3d)[len(size) - 1]
    truth = torch.linalg.svdvals(explicit(lambda x: run(x, weights, **settings), i, *size))[
        0
    ].item()
    assert convolution_bound(weights, size, **settings) == pytest.approx(truth, rel=1e-8)
    monkeypatch.setattr("offmap.numerics.lipschitz.norms.EXPLICIT", 0)  # as for large maps
    above = convolution_bound(weights, size, **settings)
    below = convolution_estimate(weights, size, **settings, steps=400, generator=generator)
    assert truth <= above
    assert below <= truth * (1 + 1e-12)
    assert below == pytest.approx(truth, rel=1e-3)
    assert above < 1.4 * truth  # of maps that are mostly border


@pytest.mark.parametrize("size", range(3, 12))
def test_no_frequency_falls_between_those_of_the_grid(size, monkeypatch):
    """1, -1, 1 is largest at the highest frequency, which a grid of odd size does not have."""
    monkeypatch.setattr("offmap.numerics.lipschitz.norms.EXPLICIT", 0)
    kernel = torch.tensor([[[1.0, -1.0, 1.0]]], dtype=torch.double)
    settings = {"stride": (1,), "padding": (1,), "dilation": (1,)}
    truth = 1 + 2 * math.cos(math.pi / (size + 1))  # of a tridiagonal matrix
    assert truth <= convolution_bound(kernel, (size,), **settings) <= 3 * (1 + 1e-8)


def test_strides_without_borders_are_exact(generator):
    """Windows that tile the map: a matrix for each, all the same."""
    weights = torch.randn(5, 3, 2, 2, dtype=torch.double, generator=generator)
    settings = {**PLAIN, "stride": (2, 2)}
    tile = matrix_bound(weights.flatten(1)).item()
    assert convolution_bound(weights, (8, 8), **settings) == pytest.approx(tile, rel=1e-8)


def test_the_bound_tightens_as_the_map_grows(generator, monkeypatch):
    monkeypatch.setattr("offmap.numerics.lipschitz.norms.EXPLICIT", 0)
    weights = torch.randn(4, 4, 3, 3, dtype=torch.double, generator=generator)
    settings = {**PLAIN, "padding": (1, 1)}
    gaps = []
    for size in (4, 16):
        truth = convolution_estimate(
            weights, (size, size), **settings, steps=300, generator=generator
        )
        gaps.append(convolution_bound(weights, (size, size), **settings) / truth - 1)
    assert 0 <= gaps[1] < gaps[0] < 0.2
    assert gaps[1] < 0.02


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e100])
@pytest.mark.parametrize("shape", [(7, 3), (3, 7), (4, 1), (1, 1)])
def test_matrix_norms_are_rounded_up(generator, shape, scale):
    matrix = scale * torch.randn(5, *shape, dtype=torch.double, generator=generator)
    truth = torch.linalg.svdvals(matrix)[:, 0]
    found = matrix_bound(matrix)
    torch.testing.assert_close(found, truth, rtol=1e-8, atol=0)
    assert (found >= truth).all()


def test_a_convolution_of_nothing_has_norm_zero(monkeypatch):
    monkeypatch.setattr("offmap.numerics.lipschitz.norms.EXPLICIT", 0)
    assert convolution_bound(torch.zeros(2, 1, 3, 3), (8, 8), **PLAIN) == 0


def test_an_empty_matrix_has_norm_zero():
    assert matrix_bound(torch.zeros(2, 0, 3)).tolist() == [0.0, 0.0]
