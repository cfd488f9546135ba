r"""Largest singular values of the linear maps that networks are made of, never below the truth.

The norm of a convolution is not that of its kernel reshaped into a matrix: for 3 x 3 kernels that
one is up to three times too small, and a certificate built on it is void (Sedghi, Gupta and Long
2018, https://arxiv.org/abs/1805.10408).
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn import functional

__all__ = ["circular_spectrum", "convolution_bound", "convolution_estimate", "matrix_bound"]

# Eigenvalues in float64 are off by about the size of the matrix times 1e-16 of the largest; this
# is more than that for any matrix that fits in memory, and it is added wherever a bound is stated.
SLACK = 1e-9
TAME = 1e-100  # and its inverse: sizes between which squares lose nothing
EXPLICIT = 512  # numbers in a map up to which the matrix of a convolution is written out
BLOCK = 2**24  # complex numbers of frequency responses held at once

CONVOLUTIONS = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
TRANSPOSED = {
    1: functional.conv_transpose1d,
    2: functional.conv_transpose2d,
    3: functional.conv_transpose3d,
}


def matrix_bound(matrix: Shaped[Tensor, "*batch a b"]) -> Float[Tensor, "*batch"]:
    """Largest singular value of each matrix, float64, rounded up.

    From the smaller of the two Gram matrices: of the largest singular value, unlike of the
    smallest, squaring loses nothing.
    """
    matrix = matrix if matrix.is_complex() else matrix.double()
    a, b = matrix.shape[-2:]
    if min(a, b) == 0:
        return torch.zeros(matrix.shape[:-2], dtype=torch.double, device=matrix.device)
    flat = torch.view_as_real(matrix) if matrix.is_complex() else matrix
    size = max(-flat.min().item(), flat.max().item()) if flat.numel() else 0.0
    if size and not TAME < size < 1 / TAME:  # squares would vanish or overflow
        return matrix_bound(matrix / size) * size
    gram = matrix @ matrix.mH if a <= b else matrix.mH @ matrix
    return torch.linalg.eigvalsh(gram)[..., -1].clamp_min(0).sqrt() * (1 + SLACK)


def circular_spectrum(
    kernel: Shaped[Tensor, "o i *k"], size: Sequence[int]
) -> Float[Tensor, " values"]:
    """Every singular value of a convolution that wraps around, largest first (stride 1).

    The Fourier transform makes it block diagonal: one `o` x `i` matrix a frequency.

    Args:
        kernel: As `torch.nn.Conv2d` holds it, for any number of axes.
        size: Of the map, along each axis; no smaller than the kernel.

    Raises:
        ValueError: If the kernel does not fit into the map.
    """
    blocks = _responses(kernel.double(), size, [1] * len(size))
    return torch.linalg.svdvals(blocks).flatten().sort(descending=True).values


def convolution_bound(
    kernel: Shaped[Tensor, "o i *k"],
    size: Sequence[int],
    *,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int = 1,
) -> float:
    """An upper bound on the norm of a convolution with zero padding.

    Write h for the size of the map along an axis, p for the padding, s for the stride and k for
    the reach of the kernel, dilation included. Put the map into a larger one of zeros, of size N
    with N >= h + p and N >= h + 2p - k + 1, that wraps around. The windows of the padded
    convolution reach from -p to h - 1 + p. Wrapped, the places before 0 come to lie at N - p >= h
    or after, and those from h on stay below N: all are zeros, as the padding is. And no two
    outputs fall on one place. So the padded convolution is the circular one between an
    isometric embedding and a choice of rows, and its norm is no larger. For stride 1 and maps much
    larger than the kernel, the two are nearly the same.

    A stride keeps every s-th row. With N a multiple of s the coset of rows is all kept, which
    folds the frequencies that differ by N / s on top of each other: the blocks of the circular
    convolution, side by side, over the root of their number. Where the rows start is a shift,
    which is unitary. So strides are exact for maps that wrap around.

    Small maps, of which most is border, are written out as a matrix instead.

    Args:
        kernel: As `torch.nn.Conv2d` holds it, for one to three axes.
        size: Of the map that comes in, along each axis.
        stride: Along each axis.
        padding: Zeros at either end of each axis.
        dilation: Along each axis.
        groups: As in `torch.nn.Conv2d`; the norm is the largest of a group.
    """
    kernel = kernel.double()
    entering = kernel.shape[1] * groups * math.prod(size)
    if entering <= EXPLICIT:
        basis = torch.eye(entering, dtype=torch.double, device=kernel.device)
        images = CONVOLUTIONS[len(size)](
            basis.view(entering, -1, *size), kernel, None, stride, padding, dilation, groups
        )
        return matrix_bound(images.flatten(1)).item()
    spread = _spread(kernel, dilation)
    grid = []
    for h, s, p, k in zip(size, stride, padding, spread.shape[2:], strict=True):
        least = max(h + p, h + 2 * p - k + 1, k)
        grid.append(math.ceil(least / s) * s)
    top = 0.0
    for group in spread.chunk(groups):
        blocks = _responses(group, grid, stride)
        # The transform of real numbers at minus a frequency is the conjugate of that at it.
        half = blocks.unflatten(0, (-1, grid[-1] // stride[-1]))
        top = max(top, _largest(half[:, : half.shape[1] // 2 + 1].flatten(0, 1)))
    return top


def _largest(blocks: Shaped[Tensor, "n a b"]) -> float:
    """The largest of the norms of many matrices, rounded up.

    The Frobenius norm of a power of a matrix bounds its norm from above, and leaves few matrices
    whose eigenvalues are worth knowing.
    """
    top = 0.0
    for part in blocks.split(max(1, BLOCK // max(1, blocks[0].numel()))):
        size = torch.linalg.matrix_norm(part)
        unit = part / size.clamp_min(torch.finfo(torch.double).tiny)[:, None, None]
        power = unit @ unit.mH if part.shape[1] <= part.shape[2] else unit.mH @ unit
        for _ in range(2):
            power = power @ power
        above = size * torch.linalg.matrix_norm(power) ** 0.125 * (1 + SLACK)
        top = max(top, matrix_bound(part[above.argmax()]).item())
        left = part[above >= top]
        top = max(top, matrix_bound(left).max().item() if len(left) else 0.0)
    return top


def _spread(
    kernel: Float[Tensor, "o i *k"], dilation: Sequence[int]
) -> Float[Tensor, "o i *reach"]:
    """The kernel with the zeros that dilation puts between its taps."""
    reach = [(k - 1) * d + 1 for k, d in zip(kernel.shape[2:], dilation, strict=True)]
    spread = kernel.new_zeros(*kernel.shape[:2], *reach)
    spread[(..., *(slice(None, None, d) for d in dilation))] = kernel
    return spread


def _responses(
    kernel: Float[Tensor, "o i *k"], size: Sequence[int], stride: Sequence[int]
) -> Shaped[Tensor, "frequencies o folded"]:
    """The blocks of a circular convolution with stride: singular values as those of the whole.

    Raises:
        ValueError: If the kernel does not fit into the map.
    """
    if any(k > n for k, n in zip(kernel.shape[2:], size, strict=True)):
        raise ValueError(
            f"expected a map no smaller than the kernel {list(kernel.shape[2:])}, got {list(size)}"
        )
    axes = list(range(2, kernel.ndim))
    blocks = torch.fft.fftn(kernel, s=list(size), dim=axes)  # [o i *size]
    o, i, dimensions = *blocks.shape[:2], len(size)
    folded = [part for n, s in zip(size, stride, strict=True) for part in (s, n // s)]
    blocks = blocks.reshape(o, i, *folded)
    coarse = [3 + 2 * axis for axis in range(dimensions)]
    fold = [2 + 2 * axis for axis in range(dimensions)]
    blocks = blocks.permute(*coarse, 0, 1, *fold).reshape(-1, o, i * math.prod(stride))
    return blocks / math.sqrt(math.prod(stride))


def convolution_estimate(
    kernel: Float[Tensor, "o i *k"],
    size: Sequence[int],
    *,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int = 1,
    steps: int = 100,
    generator: torch.Generator,
) -> float:
    """The norm of a convolution with zero padding from below, by power iteration.

    Args:
        kernel: As `torch.nn.Conv2d` holds it, for one to three axes.
        size: Of the map that comes in, along each axis.
        stride: Along each axis.
        padding: Zeros at either end of each axis.
        dilation: Along each axis.
        groups: As in `torch.nn.Conv2d`.
        steps: Of the iteration.
        generator: Source of the start.
    """
    axes = len(size)
    settings = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    kernel = kernel.double()
    shape = (1, kernel.shape[1] * groups, *size)
    vector = torch.randn(shape, dtype=torch.double, generator=generator).to(kernel.device)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel.shape[2:], dilation, strict=True)]
    left = [
        (h + 2 * p - k) % s for h, p, k, s in zip(size, padding, reach, stride, strict=True)
    ]  # rows at the end that no window reaches
    norm = 0.0
    for _ in range(steps):
        vector = vector / vector.norm().clamp_min(torch.finfo(torch.double).tiny)
        image = CONVOLUTIONS[axes](vector, kernel, **settings)
        norm = max(norm, image.norm().item())
        vector = TRANSPOSED[axes](image, kernel, output_padding=left, **settings)
    return norm
