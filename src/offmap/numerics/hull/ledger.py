"""What has been proved so far of each query, while the search goes on."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from offmap.numerics.hull.frame import Separation
from offmap.numerics.hull.source import Source

__all__ = ["Ledger", "ledger"]

UNIT = torch.finfo(torch.float64).eps / 2


@dataclass(frozen=True, slots=True, eq=False)
class Ledger:
    """Proofs for m queries, in the units of the source's tiles; changed in place."""

    source: Source
    reach: float  # max |y|
    inside: Bool[Tensor, " m"]
    normal: Float64[Tensor, "m d"]  # of the largest margin so far
    margin: Float64[Tensor, " m"]  # above 0: outside
    residual: Float64[Tensor, " m"]  # distance to the nearest point of the hull so far
    rounding: Float64[Tensor, " m"]  # bound on the error of the residual
    depth: Float64[Tensor, " m"]  # of a query inside: a ball about it of this radius is inside too
    corral: list[tuple[Tensor, Tensor, Tensor]] = field(default_factory=list)  # id, row, weight

    def open(self) -> Int64[Tensor, " o"]:
        """Queries on neither side."""
        return (~self.inside & ~(self.margin > 0)).nonzero().flatten()

    def separated(self, ids: Int64[Tensor, " b"], found: Separation) -> None:
        """Enters margins where they are larger than those known."""
        better = (found.margin > self.margin[ids]).nonzero().flatten()
        ids, normal = ids[better], found.normal[better]
        self.margin[ids] = found.margin[better]
        self.normal[ids] = normal / normal.norm(dim=1, keepdim=True)

    def approached(
        self,
        ids: Int64[Tensor, " b"],
        queries: Float64[Tensor, "b d"],
        rows: Int64[Tensor, "b s"],
        weights: Float64[Tensor, "b s"],
    ) -> None:
        """Enters weighted means of points where they are nearer than those known."""
        weights = weights / weights.sum(1, keepdim=True)
        residual = distance(self.source, queries, rows, weights)
        better = (residual < self.residual[ids]).nonzero().flatten()
        self.residual[ids[better]] = residual[better]
        self.rounding[ids[better]] = self.own_rounding(queries[better])
        size = int((rows[better] >= 0).sum(1).amax()) if len(better) else 0
        order = (rows[better] < 0).to(torch.uint8).argsort(dim=1, stable=True)[:, :size]
        chosen = rows[better].gather(1, order), weights[better].gather(1, order)
        self.corral.append((ids[better], *chosen))

    def met(
        self, ids: Int64[Tensor, " b"], queries: Float64[Tensor, "b d"], row: Int64[Tensor, " b"]
    ) -> None:
        """Enters single points as nearest points where they are nearer than those known."""
        ones = torch.ones_like(row, dtype=torch.float64)
        self.approached(ids, queries, row[:, None], ones[:, None])

    def own_rounding(self, queries: Float64[Tensor, "b d"]) -> Float64[Tensor, " b"]:
        """Bound on what float64 loses in sums over the values of a query and of a point."""
        terms = 8 * (2 * self.source.dimension + 32)
        return terms * UNIT * (self.reach + queries.norm(dim=1))

    def corrals(self) -> tuple[Float64[Tensor, "m s"], Int64[Tensor, "m s"]]:
        """Weights and rows of the nearest points, padded by 0 and -1."""
        size = max((row.shape[1] for _, row, _ in self.corral), default=1)
        rows = torch.full((len(self.margin), size), -1, device=self.margin.device)
        weights = torch.zeros_like(rows, dtype=torch.float64)
        for ids, row, weight in self.corral:  # later ones are nearer
            weights[ids], rows[ids] = 0.0, -1
            weights[ids, : row.shape[1]], rows[ids, : row.shape[1]] = weight, row
        size = max(1, int((rows >= 0).sum(1).amax())) if len(rows) else 1
        return weights[:, :size].contiguous(), rows[:, :size].contiguous()


def ledger(source: Source, reach: float, count: int) -> Ledger:
    """Nothing is known."""
    normal = source.center.new_zeros(count, source.dimension)
    margin = normal.new_zeros(count)
    return Ledger(
        source,
        reach,
        inside=torch.zeros_like(margin, dtype=torch.bool),
        normal=normal,
        margin=margin,
        residual=torch.full_like(margin, torch.inf),
        rounding=margin.clone(),
        depth=margin.clone(),
    )


def distance(
    source: Source,
    queries: Float64[Tensor, "b d"],
    row: Int64[Tensor, "b s"],
    weight: Float64[Tensor, "b s"],
) -> Float64[Tensor, " b"]:
    """Distance of each query to a weighted mean of points, summed from differences."""
    total = torch.zeros_like(queries)
    for slot in range(row.shape[1]):
        held = (row[:, slot] >= 0).nonzero().flatten()
        if len(held):
            away = source.take(row[held, slot]) - queries[held]
            total[held] += weight[held, slot, None] * away
    return total.norm(dim=1)
