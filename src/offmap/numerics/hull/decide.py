"""Is a query in the convex hull of the points? Each answer with its certificate."""

import math

import torch
from jaxtyping import Shaped
from torch import Tensor

from offmap.numerics.hull.ledger import Ledger, ledger
from offmap.numerics.hull.result import Membership
from offmap.numerics.hull.settle import settle
from offmap.numerics.hull.source import finite, source_of
from offmap.numerics.hull.span import span_bytes, span_of
from offmap.numerics.hull.stages import Stages
from offmap.numerics.neighbors import Blocks

__all__ = ["membership"]


def membership(
    points: Shaped[Tensor, "n ..."] | Blocks,
    queries: Shaped[Tensor, "m ..."],
    *,
    tolerance: float = 1e-6,
    generator: torch.Generator | None = None,
    memory: int | None = None,
    gap: float | None = None,
) -> Membership:
    """Whether each query is in the convex hull of the points, and how far from it.

    Rows are flattened; types may differ: values are taken as numbers, 64-bit integers as float64.
    Computed on the queries' device.

    Args:
        points: The points, a tensor or `Blocks`.
        queries: The points to decide about.
        tolerance: In root-mean-square radii of the points about their mean: directions in which
            all points extend by less than half of it are not taken to be spanned, and
            `boundary` says that the hull's boundary may be nearer than this. Within the span it
            decides no side, unless rounding defeats all else.
        generator: Not read: nothing here is random.
        memory: Bytes to hold at most, beside arguments and result; 512 MiB if None. It changes
            the order of sums, so that another certificate may be found, of the same side.
        gap: Bounds on the distances of queries outside are brought to within this share of the
            upper one, or as close as rounding lets them; None: they are as loose as they come.

    Raises:
        ValueError: If a setting is out of range, there are no points, rows differ in size, a value
            is not finite, or more memory is needed: the message says how much.
        ArithmeticError: If rounding leaves a query undecided: the message names it.
    """
    memory = 512 * 2**20 if memory is None else memory
    dimension = math.prod(queries.shape[1:])
    if not 0 <= tolerance < 1:
        raise ValueError(f"expected 0 <= tolerance < 1, got {tolerance}")
    if gap is not None and not 0 < gap <= 1:
        raise ValueError(f"expected 0 < gap <= 1, got {gap}")
    if queries.is_complex() or not dimension:
        got = f"{queries.dtype} of shape {tuple(queries.shape)}"
        raise ValueError(f"expected rows of real values, got {got}")
    needed = 2**20 + span_bytes(len(points), dimension)
    if memory < needed:
        message = f"expected memory >= {needed} for {len(points)} points of {dimension} values"
        raise ValueError(f"{message}, got {memory}; raise it, or keep fewer dimensions")
    flat = queries.detach().reshape(len(queries), dimension)
    with torch.no_grad(), torch.autocast(queries.device.type, enabled=False):
        source = source_of(points, queries.device, dimension, memory // 16)
        for start in range(0, len(flat), source.tile):
            finite(flat[start : start + source.tile].double(), start, "queries")
        stages = Stages(source, span_of(source, tolerance), flat, tolerance, memory)
        return _answer(stages, gap)


def _answer(stages: Stages, gap: float | None) -> Membership:
    """All stages, in the order of their cost."""
    book, near = ledger(stages.source, stages.span.reach, len(stages.queries)), stages.near
    seen = stages.screen(book)
    screened = 1 - len(book.open()) / max(1, len(stages.queries))
    stages.off_span(book)
    settle(stages, book, seen)
    if gap is not None:
        stages.refine(book, (book.margin > 0).nonzero().flatten(), gap, 0.0)
    close = (book.margin > 0) & (book.margin <= near) & (book.residual > near)
    stages.refine(book, close.nonzero().flatten(), None, near)
    return _membership(stages, book, screened)


def _membership(stages: Stages, book: Ledger, screened: float) -> Membership:
    """What has been proved, in the unit of the data."""
    scale = stages.source.scale
    weights, rows = book.corrals()
    return Membership(
        inside=book.inside,
        boundary=~(torch.where(book.inside, book.depth, book.margin) > stages.near),
        distance_low=book.margin / scale,
        distance_high=(book.residual + book.rounding) / scale,
        normal=book.normal,
        margin=book.margin / scale,
        weights=weights,
        rows=rows,
        residual=book.residual / scale,
        rank=len(stages.span.deviation),
        screened=screened,
    )
