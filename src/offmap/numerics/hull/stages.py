"""The stages before and after the last word: cheap proofs first, closer bounds at the end."""

from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from jaxtyping import Float64, Int64, Shaped
from torch import Tensor

from offmap.numerics.hull.frame import Frame, frame_of, separate
from offmap.numerics.hull.ledger import Ledger
from offmap.numerics.hull.search import Pool, Task, search
from offmap.numerics.hull.source import Source
from offmap.numerics.hull.span import Span

__all__ = ["Stages"]

LEAST = 32  # components that are looked at alone, at least
PILOT = 256  # queries that say whether that pays
LOOKS = 8  # at most, at few components
ROUNDS = 100  # looks at all points, at most; and 10 more for each dimension
FEW = 16  # points in a corral, at few components
SEEDS = 1024  # points of a pool, to begin with, at most
CORRAL = 64  # points in a corral, to begin with


@dataclass(frozen=True, slots=True, eq=False)
class Stages:
    """What the stages of one call share."""

    source: Source
    span: Span
    queries: Shaped[Tensor, "m d"]
    tolerance: float
    memory: int

    @property
    def near(self) -> float:
        """The tolerance, as a distance between shifted points."""
        return self.tolerance * self.span.radius

    def frame(self, size: int, asked: int) -> Frame:
        """Leading coordinates of unit variance; computed once if that pays for some queries."""
        transform = self.span.basis[:, :size] / self.span.deviation[:size]
        store = self.pays(size, asked)
        return frame_of(self.source, transform, self.span.reach, self.memory, store=store)

    def pays(self, size: int, asked: int) -> bool:
        """Whether coordinates, in float64, cost less than the looks at all values they save."""
        whole = self.source.dimension
        return LOOKS * (asked * (whole - size) + 64 * whole) > 4 * whole * size

    def plain(self, *, exact: bool = False, store: bool = False) -> Frame:
        """The points themselves."""
        span, memory = self.span, self.memory
        return frame_of(self.source, None, span.reach, memory, store=store, exact=exact)

    def pool(self, frame: Frame, rows: Int64[Tensor, " p"]) -> Pool:
        """A pool, first of these points, of a sixteenth of the memory when it is full."""
        return Pool(frame, max(64, self.memory // 16 // (8 * (frame.columns + 2))), rows[:SEEDS])

    def shifted(self, ids: Int64[Tensor, " b"]) -> Float64[Tensor, "b d"]:
        """These queries."""
        return self.source.shifted(self.queries[ids])

    def panels(self, ids: Int64[Tensor, " b"], task: Task) -> tuple[Int64[Tensor, " p"], ...]:
        """Queries that are searched together.

        Raises:
            ValueError: If there is no memory for one.
        """
        s, k = task.capacity, task.frame.columns
        each = 8 * (4 * self.source.dimension + (4 + 2 * s) * k + 5 * s**2)
        if 4 * each > self.memory:
            what = f"corrals of {s} points of {k} values"
            raise ValueError(f"expected memory >= {4 * each} for {what}, got {self.memory}")
        return ids.split(self.memory // 4 // each) if len(ids) else ()

    def screen(self, book: Ledger) -> Int64[Tensor, " p"]:
        """Looks at few components, as long as that decides a larger share than it costs.

        Returns:
            Points that mattered.
        """
        rows, sizes = book.open()[:0], [len(self.span.deviation)]
        while sizes[0] >= 3 * LEAST:
            sizes.insert(0, -(-sizes[0] // 3))
        for size, following in pairwise(sizes):
            ids, price = book.open(), size / following
            if not len(ids) or not self.pays(size, len(ids)):
                break
            frame = self.frame(size, len(ids))
            task = Task(frame, self.plain(exact=True), FEW, LOOKS, yields=price)
            pool, pilot = self.pool(frame, rows), ids[:: -(-len(ids) // PILOT)]
            self.search(replace(task, rounds=1), pool, book, pilot)
            if (book.margin[pilot] > 0).sum() > price * len(pilot):
                self.search(task, pool, book, book.open())
            rows = pool.row
        return rows

    def search(self, task: Task, pool: Pool, book: Ledger, ids: Int64[Tensor, " b"]) -> None:
        """Enters the nearest points that are found, and the margins."""
        for part in self.panels(ids, task):
            search(task, pool, book, part, self.shifted(part))

    def off_span(self, book: Ledger) -> None:
        """Queries off the span are outside, unless rounding explains it."""
        basis, ids = self.span.basis, book.open()
        if basis.shape[0] == basis.shape[1]:
            return
        for part in ids.split(max(1, self.memory // 8 // (32 * self.source.dimension))):
            queries = self.shifted(part)
            off = queries - (queries @ basis) @ basis.T
            off -= (off @ basis) @ basis.T
            length = off.norm(dim=1)
            far = length > torch.clamp(book.own_rounding(queries), min=self.span.near)
            for exact in (False, True):
                which = (far & ~(book.margin[part] > 0)).nonzero().flatten()
                if len(which):
                    direction = off[which] / length[which, None]
                    found = separate(self.plain(exact=exact), direction, queries[which])
                    book.separated(part[which], found)
                    book.met(part[which], queries[which], found.row[:, 0])

    def refine(
        self, book: Ledger, ids: Int64[Tensor, " b"], gap: float | None, resolve: float
    ) -> None:
        """Brings the bounds on distances together, in the norm of the data."""
        if not len(ids):
            return
        frame, capacity = self.plain(store=True), CORRAL
        rounds, most = ROUNDS + 10 * frame.columns, frame.columns + 1
        pool = self.pool(frame, ids[:0])
        while len(ids):
            capacity = min(capacity, most)
            task = Task(frame, self.plain(exact=True), capacity, rounds, gap=gap, resolve=resolve)
            ended = [
                part[search(task, pool, book, part, self.shifted(part)).full]
                for part in self.panels(ids, task)
            ]
            ids = torch.cat(ended) if capacity < most else ids[:0]
            capacity *= 2
