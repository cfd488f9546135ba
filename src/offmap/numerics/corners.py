"""A p-value as a falling, piecewise linear function of a score, kept as its corners.

They come from `conformal.knots`, which says what they promise.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor
from torch.nn import functional

__all__ = ["Knots", "p_value", "pieces", "placed", "threshold"]

TINY = 1e-290  # between corners so close the p-value stays at the upper one: no slope is finite


class Knots(NamedTuple):
    """A falling piecewise linear function of a score: its corners, in order of position."""

    position: Float64[Tensor, "*g m"]
    level: Float64[Tensor, "*g m"]


def p_value(
    scores: Float[Tensor, " n"],
    position: Float64[Tensor, "g m"],
    level: Float64[Tensor, "g m"],
    group: Int[Tensor, " n"] | None = None,
) -> Float64[Tensor, " n"]:
    """The continuous p-value of each score.

    A score that is not finite gets the smallest p-value there is: it is never taken for familiar.

    Args:
        scores: To be judged.
        position: Corners of each row's function, rising, from `knots` (one row) or
            `grouped_knots`; rows may repeat their last corner.
        level: The p-values there, falling.
        group: Which row judges each score; may be left out where there is one row.

    Raises:
        ValueError: If there are several rows and no groups.
    """
    return placed(scores, position, pieces(position, level), group)


def pieces(
    position: Float64[Tensor, "g m"], level: Float64[Tensor, "g m"]
) -> Float64[Tensor, "g p 5"]:
    """What `placed` looks up: the lines between corners, flat before the first and after the last.

    Of each where it begins, how long it is, the level at its beginning, the slope, and the level at
    its end. The i-th holds for scores that reach i corners: at a corner it gives the very level,
    which may be alpha.
    """
    begin = torch.cat((position[:, :1], position), dim=1)
    width = torch.cat((position, position[:, -1:]), dim=1) - begin
    high, low = torch.cat((level[:, :1], level), dim=1), torch.cat((level, level[:, -1:]), dim=1)
    slope = (low - high) / torch.where(width > TINY, width, torch.inf)
    return torch.stack((begin, width, high, slope, low), dim=2)


def placed(
    scores: Float[Tensor, " n"],
    position: Float64[Tensor, "g m"],
    lines: Float64[Tensor, "g p 5"],
    group: Int[Tensor, " n"] | None = None,
) -> Float64[Tensor, " n"]:
    """As `p_value`, with the `pieces` made before. Pure tensor code of static depth, for export.

    Raises:
        ValueError: If there are several rows and no groups.
    """
    rows, width = position.shape
    if group is None and rows > 1:
        raise ValueError(f"expected the group of each score for {rows} rows of knots, got none")
    score = scores.double().nan_to_num(torch.inf, torch.inf, torch.inf)
    # a piece for each corner that the score reaches
    if torch.compiler.is_compiling():  # by halving: a program has no other way
        corners, start = position.reshape(-1), 0 if group is None else group.long() * width
        piece = torch.zeros_like(score, dtype=torch.long)
        for bit in reversed(range(width.bit_length())):
            further = piece + (1 << bit)
            probe = corners.index_select(0, start + (further - 1).clamp(max=width - 1))
            piece = torch.where((further <= width) & (probe <= score), further, piece)
    elif group is None:
        piece = torch.searchsorted(position[0], score, right=True)
    else:
        every = torch.searchsorted(position, score.repeat(rows, 1), right=True)
        piece = every.gather(0, group.long()[None])[0]
    if group is not None:
        piece = piece + group.long() * lines.shape[1]
    begin, width, high, slope, low = functional.embedding(piece, lines.flatten(0, 1)).unbind(1)
    run = torch.minimum(score - begin, width)
    return torch.maximum(torch.addcmul(high, run, slope), low)


def threshold(
    position: Float64[Tensor, "g m"], level: Float64[Tensor, "g m"], alpha: float
) -> Float64[Tensor, " g"]:
    """The score of each row from which on p <= alpha; infinite where p never gets so small."""
    below = level <= alpha
    right = below.double().argmax(dim=1).clamp(min=1)[:, None]
    (x0, x1), (y0, y1) = ([table.gather(1, right - 1 + i)[:, 0] for i in (0, 1)] for table in
                          (position, level))  # fmt: skip
    found = x0 + (x1 - x0) * ((y0 - alpha) / (y0 - y1)).clamp(0, 1)
    return torch.where(below.any(dim=1), found, torch.inf)
