"""Synthetic worlds whose truth is known: what claims and tests of measures are tried on.

Points are float64, one a row. Every function draws from the generator that it is given.
"""

from itertools import pairwise
from math import pi, sqrt
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

GLYPHS = (  # of ten digits, five columns by seven rows, a bit a pixel
    "01110 10001 10011 10101 11001 10001 01110",
    "00100 01100 00100 00100 00100 00100 01110",
    "01110 10001 00001 00110 01000 10000 11111",
    "11111 00010 00100 00010 00001 10001 01110",
    "00010 00110 01010 10010 11111 00010 00010",
    "11111 10000 11110 00001 00001 10001 01110",
    "00110 01000 10000 11110 10001 10001 01110",
    "11111 00001 00010 00100 01000 01000 01000",
    "01110 10001 10001 01110 10001 10001 01110",
    "01110 10001 10001 01111 00001 00010 01100",
)
GLYPH_WIDTH, GLYPH_HEIGHT = 5, 7


def gaussian(n: int, dimension: int, *, generator: torch.Generator) -> Float[Tensor, "n d"]:
    """Standard normal points."""
    return torch.randn(n, dimension, generator=generator, dtype=torch.double)


def sphere(
    n: int, dimension: int, *, radius: float = 1.0, generator: torch.Generator
) -> Float[Tensor, "n d"]:
    """Uniform on the sphere in so many dimensions (its own dimension is one less)."""
    points = gaussian(n, dimension, generator=generator)
    return radius * points / points.norm(dim=1, keepdim=True)


def ball(
    n: int, dimension: int, *, radius: float = 1.0, generator: torch.Generator
) -> Float[Tensor, "n d"]:
    """Uniform in the ball."""
    share = torch.rand(n, 1, generator=generator, dtype=torch.double) ** (1 / dimension)
    return share * sphere(n, dimension, radius=radius, generator=generator)


def torus(
    n: int, intrinsic: int, ambient: int, *, generator: torch.Generator
) -> Float[Tensor, "n ambient"]:
    """Uniform on a flat torus of known dimension: a product of unit circles, turned at random.

    It is smooth, has no boundary and no curvature of its own, and its volume is (2 pi)^intrinsic.

    Raises:
        ValueError: If the torus does not fit: it needs two dimensions a circle.
    """
    if ambient < 2 * intrinsic:
        raise ValueError(f"expected at least {2 * intrinsic} ambient dimensions, got {ambient}")
    angle = 2 * pi * torch.rand(n, intrinsic, generator=generator, dtype=torch.double)
    circles = torch.cat([angle.cos(), angle.sin()], dim=1)
    return circles @ rotation(ambient, generator=generator)[: 2 * intrinsic]


def rotation(dimension: int, *, generator: torch.Generator) -> Float[Tensor, "d d"]:
    """A rotation (or reflection) drawn uniformly."""
    q, r = torch.linalg.qr(gaussian(dimension, dimension, generator=generator))
    return q * r.diagonal().sign()  # without the signs the law is not uniform


def curve(positions: Float[Tensor, " n"], ambient: int) -> Float[Tensor, "n ambient"]:
    r"""Points of a closed curve that lies in no lower-dimensional plane.

    .. math:: (\cos t, \sin t, \cos 2t, \sin 2t, ...) \sqrt{2 / d}, \qquad t = 2 \pi s

    Every one of its points is a vertex of its convex hull where the dimension is even
    (Caratheodory's curve).

    Args:
        positions: Along the curve, of period one.
        ambient: Dimensions.
    """
    order = torch.arange(ambient, device=positions.device) // 2 + 1
    angle = 2 * pi * positions.double()[:, None] * order
    odd = (torch.arange(ambient, device=positions.device) % 2).bool()
    return torch.where(odd, angle.sin(), angle.cos()) * sqrt(2 / ambient)


def blobs(
    positions: Float[Tensor, " n"], side: int, *, width: float = 0.06
) -> Float[Tensor, "n side side"]:
    """Pictures of one soft dot, which moves along a line from left to right: a smooth curve.

    Args:
        positions: From 0 to 1.
        side: Pixels along each side.
        width: Standard deviation of the dot, as a share of the side; below a pixel the curve is
            no longer smooth.
    """
    pixels = (torch.arange(side, dtype=torch.double) + 0.5) / side
    center = 0.2 + 0.6 * positions.double()[:, None]
    across = torch.exp(-((pixels - center) ** 2) / (2 * width**2))
    down = torch.exp(-((pixels - 0.5) ** 2) / (2 * width**2))
    return across[:, None, :] * down[None, :, None]


def printed_digits(
    numbers: Int[Tensor, " n"], places: int, *, zoom: int = 1
) -> Float[Tensor, "n height width"]:
    """Pictures of whole numbers, printed with leading zeros in a font of 5 x 7 pixels.

    Args:
        numbers: From 0 to 10^places - 1.
        places: Digits that are printed.
        zoom: Pixels along the side of a dot of the font.

    Raises:
        ValueError: If a number has no room, or is negative.
    """
    wrong = numbers[(numbers < 0) | (numbers >= 10**places)]
    if len(wrong):
        raise ValueError(f"expected numbers from 0 to {10**places - 1}, got {wrong[0].item()}")
    rows = [[int(dot) for dot in glyph.replace(" ", "")] for glyph in GLYPHS]
    font = torch.tensor(rows, dtype=torch.double).view(10, GLYPH_HEIGHT, GLYPH_WIDTH)
    font = nn.functional.pad(font, (0, 1))  # a gap between digits
    power = 10 ** torch.arange(places - 1, -1, -1)
    digits = numbers[:, None] // power % 10
    pictures = font[digits].permute(0, 2, 1, 3).flatten(2)
    return pictures.repeat_interleave(zoom, 1).repeat_interleave(zoom, 2)


class Pieces(NamedTuple):
    """Points and the piece that each lies in."""

    points: Float[Tensor, "n d"]
    piece: Int[Tensor, " n"]


def pieces(
    n: int, dimension: int, count: int, *, gap: float = 1.0, generator: torch.Generator
) -> Pieces:
    """Points of several unit balls in a row, an equal share in each, so far apart.

    Args:
        n: Points in all.
        dimension: Of the balls.
        count: Of the balls.
        gap: Distance between neighboring balls, surface to surface.
        generator: Source of the points.
    """
    piece = torch.arange(n) % count
    points = ball(n, dimension, generator=generator)
    points[:, 0] += (2 + gap) * piece
    return Pieces(points, piece)


class Spurious(NamedTuple):
    """Inputs, classes 0 or 1, and an attribute that goes along with the class for most."""

    inputs: Float[Tensor, "n d"]
    targets: Int[Tensor, " n"]
    attributes: Int[Tensor, " n"]


def spurious(
    n: int, dimension: int, *, agreement: float, core: float = 1.0, shortcut: float = 3.0,
    generator: torch.Generator,
) -> Spurious:  # fmt: skip
    """Two classes, a weak feature that causes them, and a strong one that only goes along.

    Coordinate 0 is +-core by class, coordinate 1 is +-shortcut by attribute; unit noise everywhere.

    Args:
        n: Examples.
        dimension: At least 2; the others are noise.
        agreement: Share of examples whose attribute is their class.
        core: Strength of what causes the class.
        shortcut: Strength of what goes along with it.
        generator: Source of it all.

    Raises:
        ValueError: If there is no room for both features.
    """
    if dimension < 2:
        raise ValueError(f"expected at least two dimensions, got {dimension}")
    targets = torch.randint(2, (n,), generator=generator)
    other = torch.rand(n, generator=generator) >= agreement
    attributes = torch.where(other, 1 - targets, targets)
    inputs = gaussian(n, dimension, generator=generator)
    inputs[:, 0] += core * (2 * targets - 1)
    inputs[:, 1] += shortcut * (2 * attributes - 1)
    return Spurious(inputs, targets, attributes)


def teacher(
    dimension: int, width: int, *, depth: int = 1, generator: torch.Generator
) -> nn.Sequential:
    """A random ReLU network from vectors to one number: a target that a network can represent.

    Gaussian weights of He's variance, no biases, float64. Over networks and standard normal inputs
    the mean square of the output is one; over the inputs of one network its variance is less.

    Args:
        dimension: Of the inputs.
        width: Of each hidden layer.
        depth: Hidden layers.
        generator: Source of the weights.
    """
    layers: list[nn.Module] = []
    sizes = [dimension, *[width] * depth, 1]
    for place, (inputs, outputs) in enumerate(pairwise(sizes)):
        linear = nn.utils.skip_init(nn.Linear, inputs, outputs, bias=False, dtype=torch.double)
        gain = 1.0 if place == 0 else 2.0  # only what went through a ReLU lost half its power
        weights = torch.randn(outputs, inputs, generator=generator, dtype=torch.double)
        linear.weight = nn.Parameter(weights * sqrt(gain / inputs), requires_grad=False)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])
