"""Nearest points of the hull: all points are asked rarely, those that mattered before often."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from offmap.numerics.hull.corral import Corrals, corrals
from offmap.numerics.hull.frame import Frame, folded, separate, top
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
    found = separate(task.frame, _ahead(place), queries)
    book.separated(ids, found)
    held = corrals(place, found.row[:, 0], pool.add(found.row)[:, 0], task.capacity)
    panel = _Panel(task, pool, book, ids, queries, held)
    for _ in range(task.rounds - 1):
        panel.walk()
        active = panel.open()
        if not len(active):
            break
        for frame, chosen in ((task.frame, ~panel.fine[active]), (task.exact, panel.fine[active])):
            if bool(chosen.any()):
                panel.step(frame, active[chosen])
        if len(panel.open()) > (1 - task.yields) * len(active):
            break
    ended = (panel.ended | held.zero()) & ~(book.margin[ids] > 0)
    held.polish(ended.nonzero().flatten())
    book.approached(ids, queries, held.row, held.weight)
    full = held.full & ~ended & ~panel.done()
    return Found(held, ended.nonzero().flatten(), full.nonzero().flatten())


def _ahead(place: Float64[Tensor, "b k"]) -> Float64[Tensor, "b k"]:
    """Unit vectors from the center to the queries; any, where a query lies there."""
    length = place.norm(dim=1, keepdim=True)
    anywhere = torch.full_like(place, place.shape[1] ** -0.5)
    return torch.where(length > 0, place / length.where(length > 0, 1.0), anywhere)


class _Panel:
    """Queries that are searched together."""

    def __init__(
        self, task: Task, pool: Pool, book: Ledger, ids: Tensor, queries: Tensor, held: Corrals
    ) -> None:
        self.task, self.pool, self.book = task, pool, book
        self.ids, self.queries, self.held = ids, queries, held
        self.fine = torch.zeros_like(held.stuck)  # float32 tells no more
        self.ended = torch.zeros_like(held.stuck)  # nor does float64

    def done(self) -> Bool[Tensor, " b"]:
        """Whether enough is proved."""
        task, margin = self.task, self.book.margin[self.ids]
        if task.gap is None and not task.resolve:
            return margin > 0
        high = self.held.square.sqrt()
        enough = margin > task.resolve if task.gap is None else margin >= (1 - task.gap) * high
        return enough | ((high <= task.resolve) & (margin > 0))

    def open(self) -> Int64[Tensor, " o"]:
        """Queries that go on."""
        over = self.ended | self.held.zero() | self.held.full | self.done()
        return (~over).nonzero().flatten()

    def walk(self) -> None:
        """Steps within the pool, until it separates the query by half of its distance or better."""
        task, held, pool, active = self.task, self.held, self.pool, self.open()
        part = 0.5 if task.gap is None else task.gap / 2
        for _ in range(STEPS * (held.query.shape[1] + 4)):
            active = active[~(held.zero() | held.full | held.stuck)[active]]
            if not len(active):
                return
            slot = pool.highest(-held.nearest[active])
            gain, noise = self.gain(active, pool.place[slot])
            more = gain > torch.maximum(part * held.square[active].sqrt(), noise)
            active, slot = active[more], slot[more]
            held.enter(active, pool.row[slot], pool.place[slot])

    def gain(
        self, which: Int64[Tensor, " w"], place: Float64[Tensor, "w k"]
    ) -> tuple[Float64[Tensor, " w"], Float64[Tensor, " w"]]:
        """How much higher than the nearest point a point is, toward the query; its rounding."""
        nearest, query = self.held.nearest[which], self.held.query[which]
        length = self.held.square[which].sqrt()
        gain = -(nearest * (place - query - nearest)).sum(1) / length
        extent = self.held.size()[which] + query.norm(dim=1)
        return gain, (16 + query.shape[1]) * UNIT * extent

    def step(self, frame: Frame, which: Int64[Tensor, " w"]) -> None:
        """Asks all points toward each query, and adds the highest to its corral."""
        held, task = self.held, self.task
        length = held.square[which].sqrt()
        direction = -held.nearest[which] / length[:, None]
        if frame is task.exact:  # the points themselves, in the direction of these coordinates
            direction = task.frame.lift(direction)
        found = separate(frame, direction, self.queries[which])
        self.book.separated(self.ids[which], found)
        place = self.pool.add(found.row)[:, 0]
        gain, noise = self.gain(which, place)
        more = (gain > noise) & ~self.done()[which] & ~held.stuck[which]
        held.enter(which[more], found.row[more, 0], place[more])
        rest = ~more | held.stuck[which]
        if frame is task.exact:
            self.ended[which[rest]] = True
            return
        blind = length <= found.slack * found.normal.norm(dim=1)  # no direction can be proved so
        rest = which[rest | blind]
        held.stuck[rest] = False
        held.careful[rest] = True
        self.fine[rest] = True
