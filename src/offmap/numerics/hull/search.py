"""Nearest points of the hull: all points are asked rarely, those that mattered before often."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from offmap.numerics.hull.corral import Corrals, corrals
from offmap.numerics.hull.frame import Frame, Separation, folded, separate, top
from offmap.numerics.hull.ledger import Ledger

__all__ = ["Found", "Pool", "Task", "search"]

UNIT = torch.finfo(torch.float64).eps
STEPS = 8  # steps a coordinate in the pool, between two looks at all points


@dataclass(frozen=True, slots=True)
class Task:
    """What a search is for."""

    frame: Frame  # to look in
    exact: Frame  # the points themselves in float64, where float32 does not tell
    capacity: int  # points in a corral
    rounds: int  # looks at all points
    gap: float | None = None  # relative, of the bounds on the distance; None: the side is enough
    resolve: float = 0.0  # it is enough to know whether the distance is above or below this
    yields: float = 0.0  # stop once a look decides a smaller share of the open queries


class Found(NamedTuple):
    """How a search went."""

    held: Corrals
    ended: Int64[Tensor, " e"]  # corrals that are at the query, as far as rounding lets tell
    full: Int64[Tensor, " f"]  # corrals that ended for want of capacity


class Pool:
    """Points that were highest in some direction, with their coordinates."""

    def __init__(self, frame: Frame, limit: int, row: Int64[Tensor, " p"]) -> None:
        self.frame, self.limit = frame, limit
        self.row = row[:0]
        self.place = frame.source.center.new_empty(0, frame.columns)  # the last may be repeated
        self.add(row[None, :limit])

    def add(self, row: Int64[Tensor, "b p"]) -> Float64[Tensor, "b p k"]:
        """The coordinates of these points, which the pool holds from now on."""
        unique, inverse = row.unique(return_inverse=True)
        place = self.place.new_empty(len(unique), self.place.shape[1])
        fresh = torch.ones_like(unique, dtype=torch.bool)
        if len(self.row):
            order = self.row.argsort()
            slot = order[torch.searchsorted(self.row[order], unique).clamp_(max=len(order) - 1)]
            fresh = self.row[slot] != unique
            place[~fresh] = self.place[slot[~fresh]]
        if bool(fresh.any()):
            place[fresh] = self.frame.place(self.frame.source.take(unique[fresh]))
            old = self.place[: len(self.row)]
            self.row = torch.cat((unique[fresh], self.row))[: self.limit]
            self.place = folded(torch.cat((place[fresh], old))[: self.limit])
        return place[inverse]

    def highest(self, direction: Float64[Tensor, "b k"]) -> Int64[Tensor, " b"]:
        """The place in the pool of the largest w.z."""
        slots = []
        for part in direction.split(max(1, 2**19 // len(self.place))):
            scores = part @ self.place.T
            slots.append(top(scores, scores.new_full((len(part),), -torch.inf))[2])
        return torch.cat(slots).clamp_(max=len(self.row) - 1)


def search(
    task: Task, pool: Pool, book: Ledger, ids: Int64[Tensor, " b"], queries: Float64[Tensor, "b d"]
) -> Found:
    """Looks for the nearest points of some queries, and enters what is proved."""
    place = task.frame.place(queries)
    found = _look(task, task.frame, book, ids, queries, _ahead(place))
    held = corrals(place, found.row[:, 0], pool.add(found.row)[:, 0], task.capacity)
    fine = torch.zeros_like(held.stuck)
    over = _done(task, held, book.margin[ids])
    ended = torch.zeros_like(over)
    for _ in range(task.rounds - 1):
        active = (~over).nonzero().flatten()
        _walk(task, held, pool, active)
        over |= held.zero() | held.full
        ended |= held.zero()
        active = (~over).nonzero().flatten()
        if not len(active):
            break
        count = len(active)
        for frame, chosen in ((task.frame, ~fine[active]), (task.exact, fine[active])):
            which = active[chosen]
            if len(which):
                _step(task, frame, pool, book, ids, queries, held, fine, ended, which)
        over |= ended | _done(task, held, book.margin[ids])
        if (~over[active]).sum() > (1 - task.yields) * count:
            break
    held.polish(ended.nonzero().flatten())
    book.approached(ids, queries, held.row, held.weight)
    ended &= ~(book.margin[ids] > 0)
    full = held.full & ~ended & ~_done(task, held, book.margin[ids])
    return Found(held, ended.nonzero().flatten(), full.nonzero().flatten())


def _ahead(place: Float64[Tensor, "b k"]) -> Float64[Tensor, "b k"]:
    """Unit vectors from the center to the queries; any, where a query lies there."""
    length = place.norm(dim=1, keepdim=True)
    anywhere = torch.full_like(place, place.shape[1] ** -0.5)
    return torch.where(length > 0, place / length.where(length > 0, 1.0), anywhere)


def _done(task: Task, held: Corrals, margin: Float64[Tensor, " b"]) -> Bool[Tensor, " b"]:
    if task.gap is None and not task.resolve:
        return margin > 0
    high = held.square.sqrt()
    enough = margin > task.resolve if task.gap is None else margin >= (1 - task.gap) * high
    return enough | ((high <= task.resolve) & (margin > 0))


def _walk(task: Task, held: Corrals, pool: Pool, active: Int64[Tensor, " a"]) -> None:
    """Steps within the pool, until it separates the query by half of its distance or better."""
    part = 0.5 if task.gap is None else task.gap / 2
    for _ in range(STEPS * (held.query.shape[1] + 4)):
        active = active[~(held.zero() | held.full | held.stuck)[active]]
        if not len(active):
            return
        direction = -held.nearest[active]
        slot = pool.highest(direction)
        gain = (direction * (pool.place[slot] - (held.nearest + held.query)[active])).sum(1)
        more = gain > torch.maximum(part * held.square[active], _noise(held, active))
        active, slot = active[more], slot[more]
        held.enter(active, pool.row[slot], pool.place[slot])


def _noise(held: Corrals, which: Int64[Tensor, " w"]) -> Float64[Tensor, " w"]:
    """Rounding error of scalar products of the nearest point with points."""
    length = held.square[which].sqrt()
    extent = held.size()[which] + held.query[which].norm(dim=1)
    return (16 + held.query.shape[1]) * UNIT * length * extent


def _look(
    task: Task,
    frame: Frame,
    book: Ledger,
    ids: Int64[Tensor, " b"],
    queries: Float64[Tensor, "b d"],
    direction: Float64[Tensor, "b k"],
) -> Separation:
    """Asks all points, in one direction a query, and enters the margins."""
    if frame is not task.frame:  # the points themselves, in the direction of these coordinates
        direction = task.frame.lift(direction)
    found = separate(frame, direction, queries)
    book.separated(ids, found)
    return found


def _step(
    task: Task,
    frame: Frame,
    pool: Pool,
    book: Ledger,
    ids: Int64[Tensor, " b"],
    queries: Float64[Tensor, "b d"],
    held: Corrals,
    fine: Bool[Tensor, " b"],
    ended: Bool[Tensor, " b"],
    which: Int64[Tensor, " w"],
) -> None:
    """Looks in the direction of the queries, and adds what is found to their corrals."""
    direction = -held.nearest[which] / held.square[which, None].sqrt()
    found = _look(task, frame, book, ids[which], queries[which], direction)
    place = pool.add(found.row)[:, 0]
    gain = (direction * (place - (held.nearest + held.query)[which])).sum(1)
    more = gain > _noise(held, which) / held.square[which].sqrt()
    more &= ~_done(task, held, book.margin[ids])[which] & ~held.stuck[which]
    held.enter(which[more], found.row[more, 0], place[more])
    rest = which[~more | held.stuck[which]]
    if frame is task.exact:
        ended[rest] = True
    else:
        blind = held.square[which].sqrt() <= found.slack * found.normal.norm(dim=1)
        rest = torch.cat((rest, which[blind]))
        held.stuck[rest] = False
        held.careful[rest] = True
        fine[rest] = True
