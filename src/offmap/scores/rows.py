"""Training rows that a score searches: through a map, and thinned if there are many."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from offmap.attempt import InputError
from offmap.numerics.bank import thinned
from offmap.table import Table, Window

SHARE = 4  # the bank may take this part of the memory


class Mapped:
    """Rows of a table, each through a map to a vector; may exceed memory."""

    def __init__(self, table: Table, through: Callable[[Tensor], Float[Tensor, "b d"]]) -> None:
        self.table, self.through = table, through

    def __len__(self) -> int:
        return len(self.table)

    def read(self, start: int, stop: int) -> Float[Tensor, "b d"]:
        """Rows start, ..., stop - 1; the table is read in chunks."""
        parts = [self.through(chunk) for chunk in Window(self.table, start, stop).chunks()]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def mean(self) -> Float[Tensor, " d"]:
        """Mean of all rows, in their type."""
        total = sum(self.through(chunk).double().sum(dim=0) for chunk in self.table.chunks())
        assert isinstance(total, Tensor)
        return (total / len(self)).float()


class Bank(NamedTuple):
    """Rows that stand for all of them."""

    rows: Int64[Tensor, " m"]  # their numbers
    points: Float[Tensor, "m d"]
    counts: Int64[Tensor, " m"]  # rows for which each stands
    radius: float  # how far a row is, at most, from the one that stands for it


def bank_of(
    rows: Mapped, most: int | None, k: int, memory: int, *, generator: torch.Generator
) -> Bank:
    """The rows, or at most so many that stand for the others.

    Args:
        rows: All of them.
        most: How many to keep; None: all.
        k: Neighbors that the score looks for.
        memory: Bytes, of which the bank may take a quarter.
        generator: Source of those kept.

    Raises:
        ValueError: If k or the number is out of range.
        InputError: If there are fewer rows than k + 1, or they take too much memory.
    """
    if k < 1:
        raise ValueError(f"expected k >= 1, got {k}")
    if most is not None and most <= k:
        raise ValueError(f"expected a bank of more than k={k} rows, got bank={most}")
    if len(rows) <= k:
        raise InputError(
            f"expected more than k={k} training examples, got {len(rows)}: set a smaller k"
        )
    width = 4 * rows.read(0, 1).shape[1]
    kept = len(rows) if most is None else min(most, len(rows))
    room = max(k + 1, memory // SHARE // width)
    if kept > room:
        raise InputError(
            f"expected a bank that takes a quarter of the memory at most, got {kept:,} rows of "
            f"{width:,} bytes for a budget of {memory:,}: set bank={room}"
        )
    if kept == len(rows):
        every = torch.arange(kept)
        return Bank(every, rows.read(0, kept), torch.ones_like(every), 0.0)
    thin = thinned(rows, kept, generator=generator)
    return Bank(thin.rows, rows.through(rows.table.take(thin.rows)), thin.counts, thin.radius)
