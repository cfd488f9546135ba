"""Rows of one shape and type, read by position. A table may be larger than memory."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

# What one streamed read asks for: above 32 MiB, from where on the C library gives freed memory
# back to the system at once instead of keeping it in a heap that fragments.
CHUNK_BYTES = 40 * 2**20


class Table(ABC):
    """`n` rows of shape `shape` and type `dtype`. Row i is row i everywhere."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    travels = False  # whether another machine can read it as it is

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def take(self, rows: Tensor) -> Tensor:
        """A copy of the rows at positions `rows` [m], in that order: [m, *shape]."""

    def read(self, start: int, stop: int) -> Tensor:
        """A copy of rows `start` to `stop` (exclusive): [stop - start, *shape]."""
        return self.take(torch.arange(start, min(stop, len(self))))

    def all(self) -> Tensor:
        """Every row at once: [n, *shape]."""
        return self.read(0, len(self))

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return prod(self.shape) * self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all rows."""
        return len(self) * self.row_bytes

    def chunks(self, size: int | None = None) -> Iterator[Tensor]:
        """All rows in order, `size` at a time (default: about 40 MiB)."""
        size = size or max(1, CHUNK_BYTES // max(1, self.row_bytes))
        for start in range(0, len(self), size):
            yield self.read(start, min(start + size, len(self)))


class TensorTable(Table):
    """Rows that are in memory already."""

    travels = True

    def __init__(self, values: Tensor) -> None:
        self.values = values
        self.shape = tuple(values.shape[1:])
        self.dtype = values.dtype

    def __len__(self) -> int:
        return len(self.values)

    def __reduce__(self) -> tuple[object, ...]:
        # as an array: workers on one node then share its memory instead of copying it
        if self.values.dtype is torch.bfloat16 or self.values.device.type != "cpu":
            return TensorTable, (self.values,)
        return _from_array, (self.values.detach().numpy(),)

    def take(self, rows: Tensor) -> Tensor:
        """See `Table.take`."""
        return self.values[rows.to(self.values.device)]

    def read(self, start: int, stop: int) -> Tensor:
        """A view of the rows: nothing in offmap writes into what it read."""
        return self.values[start:stop]


class Subset(Table):
    """Some rows of another table, in another order."""

    def __init__(self, table: Table, rows: Tensor) -> None:
        self.table, self.rows = table, rows
        self.shape, self.dtype = table.shape, table.dtype

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: Tensor) -> Tensor:
        """See `Table.take`."""
        return self.table.take(self.rows[rows])


class Window(Table):
    """Consecutive rows of another table."""

    def __init__(self, table: Table, start: int, stop: int) -> None:
        self.table, self.start = table, start
        self.length = max(0, min(stop, len(table)) - start)
        self.shape, self.dtype = table.shape, table.dtype

    def __len__(self) -> int:
        return self.length

    def take(self, rows: Tensor) -> Tensor:
        """See `Table.take`."""
        return self.table.take(rows + self.start)

    def read(self, start: int, stop: int) -> Tensor:
        """See `Table.read`."""
        return self.table.read(self.start + start, self.start + min(stop, self.length))


class RawFile(Table):
    """Rows in a file of plain numbers, read with ordinary reads: resident memory stays small."""

    def __init__(
        self, path: Path, length: int, shape: Sequence[int], dtype: torch.dtype, offset: int = 0
    ) -> None:
        self.path, self.length, self.offset = Path(path), length, offset
        self.shape, self.dtype = tuple(shape), dtype

    def __len__(self) -> int:
        return self.length

    def read(self, start: int, stop: int) -> Tensor:
        """See `Table.read`."""
        stop = min(stop, self.length)
        values = torch.empty((max(0, stop - start), *self.shape), dtype=self.dtype)
        with self.path.open("rb", buffering=0) as file:
            self._fill(file, start, values)
        return values

    def take(self, rows: Tensor) -> Tensor:
        """See `Table.take`. Runs of consecutive rows are one read each."""
        values = torch.empty((len(rows), *self.shape), dtype=self.dtype)
        positions = rows.tolist()
        with self.path.open("rb", buffering=0) as file:
            begin = 0
            for end in range(1, len(positions) + 1):
                if end == len(positions) or positions[end] != positions[end - 1] + 1:
                    self._fill(file, positions[begin], values[begin:end])
                    begin = end
        return values

    def _fill(self, file, start: int, values: Tensor) -> None:  # noqa: ANN001 - a raw file
        if values.numel() == 0:
            return
        file.seek(self.offset + start * self.row_bytes)
        buffer = values.reshape(-1).view(torch.uint8).numpy().data
        filled = 0
        while filled < len(buffer):
            count = file.readinto(buffer[filled:])
            if not count:
                raise OSError(f"{self.path} ends early: expected {self.length} rows")
            filled += count


class Parts(Table):
    """Tables one after another, as one."""

    def __init__(self, parts: Sequence[Table]) -> None:
        if not parts:
            raise ValueError("expected at least one part, got none")
        self.parts = tuple(parts)
        self.shape, self.dtype = parts[0].shape, parts[0].dtype
        self.starts = torch.tensor([0, *(len(part) for part in parts)]).cumsum(0)

    def __len__(self) -> int:
        return int(self.starts[-1])

    def read(self, start: int, stop: int) -> Tensor:
        """See `Table.read`."""
        pieces = []
        for part, begin in zip(self.parts, self.starts.tolist(), strict=False):
            low, high = max(start - begin, 0), min(stop - begin, len(part))
            if low < high:
                pieces.append(part.read(low, high))
        if len(pieces) == 1:
            return pieces[0]
        return torch.cat(pieces) if pieces else torch.empty((0, *self.shape), dtype=self.dtype)

    def take(self, rows: Tensor) -> Tensor:
        """See `Table.take`."""
        values = torch.empty((len(rows), *self.shape), dtype=self.dtype)
        owner = torch.searchsorted(self.starts, rows, right=True) - 1
        for which in owner.unique().tolist():
            mine = owner == which
            values[mine] = self.parts[which].take(rows[mine] - self.starts[which])
        return values


def _from_array(values: np.ndarray) -> TensorTable:
    with warnings.catch_warnings():  # shared memory cannot be written, and nobody writes into it
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return TensorTable(torch.from_numpy(values))


def as_table(values: "Tensor | Table") -> Table:
    """`values` as a table: a tensor is wrapped, a table is left alone."""
    return values if isinstance(values, Table) else TensorTable(values)
