"""The last word on every query: weights, a direction, or a refusal."""

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from offmap.numerics.hull.corral import Corrals, corrals
from offmap.numerics.hull.frame import Frame, separate
from offmap.numerics.hull.ledger import Ledger, ledger
from offmap.numerics.hull.program import program
from offmap.numerics.hull.search import Pool, Task, search
from offmap.numerics.hull.stages import CORRAL, ROUNDS, Stages

__all__ = ["settle"]


def settle(stages: Stages, book: Ledger, seen: Int64[Tensor, " p"]) -> None:
    """Decides all queries that are open, in all coordinates of the span.

    Args:
        stages: The call.
        book: What is known.
        seen: Points that mattered before.

    Raises:
        ArithmeticError: If rounding leaves one undecided.
    """
    ids = book.open()
    if not len(ids):
        return
    rank = len(stages.span.deviation)
    if not rank:  # all points are one
        queries = stages.shifted(ids)
        book.met(ids, queries, torch.zeros_like(ids))
        _accept(stages, book, ids, queries)
    else:
        frame = stages.frame(rank, len(ids))
        pool = stages.pool(frame, seen)
        _nearest(stages, book, ids, frame, pool)
        for query in book.open().tolist():
            _programmed(stages, book, query, frame, pool)
        _deepen(stages, book, frame, pool)
    if len(left := book.open()):
        raise ArithmeticError(
            f"rounding leaves query {int(left[0])} undecided: expected values whose differences "
            "float64 can tell, do center and scale them"
        )


def _nearest(
    stages: Stages, book: Ledger, ids: Int64[Tensor, " b"], frame: Frame, pool: Pool
) -> None:
    """By nearest points; corrals that prove too small are made again, larger."""
    most, exact, capacity = frame.columns + 1, stages.plain(exact=True), CORRAL
    while len(ids):
        capacity, left = min(capacity, most), []
        task = Task(frame, exact, capacity, ROUNDS + 10 * frame.columns)
        for part in stages.panels(ids, task):
            queries = stages.shifted(part)
            found = search(task, pool, book, part, queries)
            end = found.ended
            off = (found.held.nearest[end] * stages.span.deviation).norm(dim=1)
            end = end[off <= book.own_rounding(queries[end])]
            _accept(stages, book, part[end], queries[end])
            book.depth[part[end]] = _depth(stages, found.held, end)
            left.append(part[found.full])
        ids = torch.cat(left) if capacity < most else ids[:0]
        capacity *= 2


def _accept(
    stages: Stages, book: Ledger, ids: Int64[Tensor, " b"], queries: Float64[Tensor, "b d"]
) -> None:
    """Inside, if the nearest point is as near as rounding explains, or the tolerance allows."""
    near = book.residual[ids] <= stages.near + book.own_rounding(queries)
    book.inside[ids] = near & ~(book.margin[ids] > 0)


def _depth(stages: Stages, held: Corrals, which: Int64[Tensor, " w"]) -> Float64[Tensor, " w"]:
    """Distance to the nearest facet of the corral, where that is a simplex about the query."""
    depth = held.query.new_zeros(len(which))
    columns, deviation = held.query.shape[1], stages.span.deviation
    whole = ((held.row[which] >= 0).sum(1) == columns + 1).nonzero().flatten()
    if not len(whole):
        return depth
    which = which[whole, None]
    order = (held.row[which[:, 0]] < 0).to(torch.uint8).argsort(dim=1)[:, : columns + 1]
    simplex = torch.cat((held.offset[which, order], held.query.new_ones(*order.shape, 1)), 2)
    inverse, failed = torch.linalg.inv_ex(simplex)
    slope = (inverse[:, :columns] / deviation[:, None]).norm(dim=1)  # of each weight, by distance
    facet = (held.weight[which, order] / slope).amin(1)
    depth[whole] = torch.where(failed == 0, facet, 0.0).nan_to_num(0.0)
    return depth


def _programmed(stages: Stages, book: Ledger, query: int, frame: Frame, pool: Pool) -> None:
    """By linear programs over the points that matter, to which what violates them is added."""
    ids = torch.tensor([query], device=book.margin.device)
    queries, exact = stages.shifted(ids), stages.plain(exact=True)
    place, rows = frame.place(queries), pool.row.clone()
    for _ in range(len(stages.source)):
        points = frame.place(stages.source.take(rows))
        direction, row, weight = program(points, place[0])
        normal = frame.lift(direction[None])
        if normal.norm() > 0:
            found = separate(exact, normal, queries)
            book.separated(ids, found)
            if bool(book.margin[query] > 0):
                break
            if not bool(torch.isin(found.row[0], rows).all()):
                rows = torch.cat((rows, found.row[0])).unique()
                continue
        places = max(2, len(row))
        held = corrals(place, rows[row[:1]], points[row[:1]], places, places)
        held.row[0, : len(row)], held.weight[0, : len(row)] = rows[row], weight
        held.offset[0, : len(row)] = points[row] - place
        held.polish(torch.zeros_like(ids))
        book.approached(ids, queries, held.row, held.weight)
        _accept(stages, book, ids, queries)
        return
    book.met(ids, queries, rows[:1])


def _deepen(stages: Stages, book: Ledger, frame: Frame, pool: Pool) -> None:
    """Depths of queries whose corral does not give one: on the way out from some inner point.

    If the hull holds a ball of radius r about that point, and a point that lies farther out than
    the query by a share t of its distance to that, it holds a ball of radius r t about the query.
    """
    ids = (book.inside & ~(book.depth > stages.near)).nonzero().flatten()
    if not len(ids):
        return
    task = Task(frame, stages.plain(exact=True), frame.columns + 1, ROUNDS + 10 * frame.columns)
    scratch = ledger(stages.source, stages.span.reach, 1)
    span = stages.span  # near the center, in general position: the center itself may be a point
    place = torch.arange(1.0, frame.columns + 1).to(span.deviation).sin() / frame.columns**0.5
    inner = (span.basis @ (span.deviation * place * 0.1))[None]
    found = search(task, pool, scratch, torch.zeros_like(ids[:1]), inner)
    radius = _depth(stages, found.held, found.ended).sum().item()
    share = 1.01 * stages.near / radius if radius > 0 else 1.0
    if share > 0.5:
        return
    for part in stages.panels(ids, task):
        outer = (stages.shifted(part) - share * inner) / (1 - share)
        scratch = ledger(stages.source, span.reach, len(part))
        found = search(task, pool, scratch, torch.arange(len(part), device=part.device), outer)
        book.depth[part[found.ended]] = share * radius
