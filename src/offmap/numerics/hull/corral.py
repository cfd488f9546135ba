"""Wolfe's nearest-point algorithm on many queries at once.

A corral is a few affinely independent points with the query's nearest point in the interior of
their hull. A step adds the point that lies farthest in the direction of the query; the weights
then move toward those of the nearest point of the affine hull, and points whose weight vanishes on
the way leave (Wolfe 1976, https://doi.org/10.1007/BF01580381).

What is solved for is the change of the weights, from the nearest point so far, and that point moves
by what the change makes it move: it is never summed anew. So its direction stays as good when it
comes near the query as it was when far: the points solved for are those of a query that differs by
rounding. Changes come from a Cholesky factor of the Gram matrix, or where that fails, from a QR
factorization of the points.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor
from torch.nn.functional import pad

__all__ = ["Corrals", "corrals"]

FIRST = 12  # places in a corral, to begin with
CLOSER = 1e-8  # a change that leaves less of the squared distance than this is refined


@dataclass(slots=True, eq=False)
class Corrals:
    """One corral a query, in coordinates about the query; changed in place."""

    capacity: int  # places, at most
    query: Float64[Tensor, "b k"]
    row: Int64[Tensor, "b s"]  # -1: a free place
    weight: Float64[Tensor, "b s"]  # 0 there
    offset: Float64[Tensor, "b s k"]  # points minus query; anything where free
    gram: Float64[Tensor, "b s s"]  # their scalar products; anything where free
    nearest: Float64[Tensor, "b k"]  # the nearest point, minus the query
    square: Float64[Tensor, " b"]  # its squared length
    careful: Bool[Tensor, " b"]  # weights by QR
    stuck: Bool[Tensor, " b"]  # a step brought it no nearer: rounding has the last word
    full: Bool[Tensor, " b"]  # a point found no place

    def size(self) -> Float64[Tensor, " b"]:
        """Largest distance of the query to a point of its corral."""
        diagonal = self.gram.diagonal(dim1=1, dim2=2)
        return diagonal.where(self.row >= 0, 0.0).amax(1).sqrt()

    def zero(self) -> Bool[Tensor, " b"]:
        """Whether the nearest point is the query itself, up to rounding."""
        unit = torch.finfo(torch.float64).eps * (16 + self.query.shape[1])
        return self.square.sqrt() <= 4 * unit * self.size()

    def enter(
        self, which: Int64[Tensor, " w"], row: Int64[Tensor, " w"], place: Float64[Tensor, "w k"]
    ) -> None:
        """Adds a point to each of these corrals, and moves to the nearest point."""
        free = self.row[which] < 0
        if self.row.shape[1] < self.capacity and not bool(free.any(1).all()):
            self._grow(min(2 * self.row.shape[1], self.capacity))
            free = self.row[which] < 0
        known = (self.row[which] == row[:, None]).any(1)
        self.full[which] |= ~free.any(1) & ~known
        self.stuck[which] |= known
        able = free.any(1) & ~known
        which, row, place = which[able], row[able], place[able]
        slot = free[able].to(torch.uint8).argmax(1)
        offset = place - self.query[which]
        self.row[which, slot] = row
        self.offset[which, slot] = offset
        product = (self.offset[which] @ offset[:, :, None]).squeeze(2)
        self.gram[which, slot] = product
        self.gram[which, :, slot] = product
        before = self.square[which]
        self._settle(which)
        # a nearer point need not show in its distance: that may fall by less than a unit of it
        worse = (self.row[which, slot] < 0) | ~(self.square[which] <= before * (1 + 1e-10))
        worse &= ~self.zero()[which]
        self.stuck[which] |= worse & self.careful[which]
        self.careful[which] |= worse

    def _grow(self, places: int) -> None:
        more = places - self.row.shape[1]
        self.row = pad(self.row, (0, more), value=-1)
        self.weight = pad(self.weight, (0, more))
        self.offset = pad(self.offset, (0, 0, 0, more))
        self.gram = pad(self.gram, (0, more, 0, more))

    def polish(self, which: Int64[Tensor, " w"]) -> None:
        """Sums the nearest points anew, and removes what rounding had left."""
        nearest = self.weight[which, None] @ self.offset[which]
        self.nearest[which] = nearest.squeeze(1)
        self.careful[which] = True
        self._settle(which)

    def _settle(self, which: Int64[Tensor, " w"]) -> None:
        """Minor cycles: to the nearest point of the affine hull, or until a weight vanishes."""
        tiny = torch.finfo(torch.float64).tiny
        while len(which):
            now, change = self.weight[which], self._change(which)
            leaving = (self.row[which] >= 0) & (now + change <= 0)
            ratio = torch.where(leaving, now / (-change).clamp_min(tiny), torch.inf)
            step = ratio.amin(1, keepdim=True).clamp(max=1)
            leaving &= ratio <= step
            now = (now + step * change).clamp_(min=0)
            self.weight[which] = now.masked_fill_(leaving, 0)
            self.row[which] = self.row[which].masked_fill_(leaving, -1)
            move = ((step * change)[:, None] @ self.offset[which]).squeeze(1)
            nearest, before = self.nearest[which] + move, self.square[which]
            square = nearest.square().sum(1)
            self.nearest[which], self.square[which] = nearest, square
            which = which[leaving.any(1) | (square < CLOSER * before)]

    def _change(self, which: Int64[Tensor, " w"]) -> Float64[Tensor, "w s"]:
        """What to add to the weights, of sum 0, for the nearest point of the affine hull."""
        held, gram = self.row[which] >= 0, self.gram[which]
        level = gram.diagonal(dim1=1, dim2=2).where(held, 0.0).amax(1)
        level = torch.where(level > 0, level, 1.0)[:, None]
        both = held[:, :, None] & held[:, None]
        system = torch.where(
            both, gram / level[:, None] + 1, torch.eye(gram.shape[1], device=gram.device).double()
        )
        factor, failed = torch.linalg.cholesky_ex(system)
        height = (self.offset[which] @ self.nearest[which, :, None]).squeeze(2) / level
        right = torch.stack((torch.where(held, -height, 0.0), held.double()), 2)
        change, ones = torch.cholesky_solve(right, factor).unbind(2)
        change = change - ones * (change.sum(1) / ones.sum(1))[:, None]
        hard = (failed > 0) | self.careful[which] | ~change.isfinite().all(1)
        hard = hard.nonzero().flatten()
        if len(hard):
            change[hard] = self._orthogonal(which[hard])
        return change

    def _orthogonal(self, which: Int64[Tensor, " w"]) -> Float64[Tensor, "w s"]:
        """The same, from differences of points to that of the largest weight."""
        free = self.row[which] < 0
        order = torch.where(free, -1.0, self.weight[which]).argsort(dim=1, descending=True)
        free = free.gather(1, order)[:, 1:]  # these come last, as triangular systems need them
        points = self.offset[which[:, None], order]
        points = (points[:, 1:] - points[:, :1]).masked_fill(free[:, :, None], 0.0)
        system = torch.cat((points, -self.nearest[which, None]), 1).mT
        triangle = torch.linalg.qr(system, mode="r").R
        count = min(free.shape[1], system.shape[1])  # no more differences than coordinates
        right = triangle[:, :count, -1:].masked_fill(free[:, :count, None], 0.0)
        triangle = triangle[:, :count, :count]
        diagonal = triangle.diagonal(dim1=1, dim2=2)
        diagonal.masked_fill_(free[:, :count], 1.0)
        flat = (diagonal.abs() <= 1e-14 * diagonal.abs().amax(1, keepdim=True)) | (diagonal == 0)
        right = right.masked_fill_(flat[:, :, None], 0.0)
        diagonal.masked_fill_(flat, 1.0)
        change = torch.linalg.solve_triangular(triangle, right, upper=True).squeeze(2)
        change = pad(change, (0, free.shape[1] - count)).nan_to_num(0.0, 0.0, 0.0)
        change = torch.cat((-change.sum(1, keepdim=True), change), 1)
        return torch.zeros_like(change).scatter_(1, order, change)


def corrals(
    query: Float64[Tensor, "b k"],
    row: Int64[Tensor, " b"],
    place: Float64[Tensor, "b k"],
    capacity: int,
    places: int = FIRST,
) -> Corrals:
    """Corrals of one point each, with room for more: for `places` at once."""
    places = min(places, capacity)
    offset = query.new_zeros(len(query), places, query.shape[1])
    gram = query.new_zeros(len(query), places, places)
    rows, weight = row.new_full((len(query), places), -1), gram[:, 0].clone()
    offset[:, 0], rows[:, 0], weight[:, 0] = place - query, row, 1.0
    nearest = offset[:, 0].clone()
    square = nearest.square().sum(1)
    gram[:, 0, 0] = square
    flags = [torch.zeros_like(row, dtype=torch.bool) for _ in range(3)]
    return Corrals(capacity, query, rows, weight, offset, gram, nearest, square, *flags)
