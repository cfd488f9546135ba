"""Every table against plain indexing of the tensor that it stands for."""

import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from offmap.table import Parts, RawFile, Subset, Table, TensorTable, Window, as_table

DTYPES = [torch.float32, torch.float64, torch.int64, torch.uint8, torch.bool, torch.float16]
LAWS = settings(deadline=None, derandomize=True, database=None, max_examples=60)


@st.composite
def _tensors(draw: st.DrawFn) -> torch.Tensor:
    n = draw(st.integers(1, 12))
    shape = draw(st.sampled_from([(), (1,), (3,), (2, 2)]))
    dtype = draw(st.sampled_from(DTYPES))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 1000)))
    return torch.randint(0, 2 if dtype is torch.bool else 100, (n, *shape), generator=generator).to(
        dtype
    )


@st.composite
def _rows(draw: st.DrawFn, n: int) -> torch.Tensor:
    """Positions in any order, some twice, perhaps none; runs of neighbors are likely."""
    some = draw(st.lists(st.integers(0, n - 1), max_size=8))
    run = range(draw(st.integers(0, n - 1)), n) if draw(st.booleans()) else range(0)
    return torch.tensor([*some, *run], dtype=torch.long)


def _raw(values: torch.Tensor, folder: str, offset: int) -> RawFile:
    path = Path(folder) / "rows.bin"
    path.write_bytes(b"x" * offset + values.numpy().tobytes())
    return RawFile(path, len(values), values.shape[1:], values.dtype, offset)


def _obeys(table: Table, values: torch.Tensor, data: st.DataObject) -> None:
    """The laws of a table that stands for `values`."""
    n = len(values)
    assert (len(table), table.shape, table.dtype) == (n, tuple(values.shape[1:]), values.dtype)
    assert table.nbytes == values.numel() * values.element_size()
    rows = data.draw(_rows(n))
    assert torch.equal(table.take(rows), values[rows])
    start = data.draw(st.integers(0, n))
    stop = data.draw(st.integers(start, n + 3))
    assert torch.equal(table.read(start, stop), values[start:stop])
    size = data.draw(st.integers(1, n + 1))
    pieces = list(table.chunks(size))
    assert [len(piece) for piece in pieces[:-1]] == [size] * (len(pieces) - 1)
    assert torch.equal(torch.cat(pieces), values)
    assert torch.equal(torch.cat(list(table.chunks())), values)


@given(_tensors(), st.data())
@LAWS
def test_tensor_table(values, data):
    _obeys(TensorTable(values), values, data)


@given(_tensors(), st.data())
@LAWS
def test_subset(values, data):
    rows = data.draw(_rows(len(values)).filter(len))
    _obeys(Subset(TensorTable(values), rows), values[rows], data)


@given(_tensors(), st.data())
@LAWS
def test_window(values, data):
    start = data.draw(st.integers(0, len(values) - 1))
    stop = data.draw(st.integers(start + 1, len(values) + 3))
    _obeys(Window(TensorTable(values), start, stop), values[start:stop], data)


@given(_tensors(), st.integers(0, 9), st.data())
@LAWS
def test_raw_file(values, offset, data):
    with tempfile.TemporaryDirectory() as folder:
        _obeys(_raw(values, folder, offset), values, data)


@given(_tensors(), st.data())
@LAWS
def test_parts(values, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(values)), max_size=4)))
    parts = values.tensor_split(torch.tensor(cuts, dtype=torch.long))  # some may be empty
    _obeys(Parts([TensorTable(part) for part in parts]), values, data)


@given(_tensors(), st.data())
@LAWS
def test_tables_of_tables(values, data):
    """A window on the subset of a file, and once more what comes before it."""
    with tempfile.TemporaryDirectory() as folder:
        raw = _raw(values, folder, 3)
        rows = data.draw(_rows(len(values)).filter(len))
        start = data.draw(st.integers(0, len(rows) - 1))
        table = Parts([Window(Subset(raw, rows), start, len(rows)), raw])
        _obeys(table, torch.cat((values[rows][start:], values)), data)


def test_default_chunks_are_about_32_mebibytes():
    wide = TensorTable(torch.empty(5, 2**22, dtype=torch.float32))  # rows of 16 MiB
    assert [len(chunk) for chunk in wide.chunks()] == [2, 2, 1]


def test_a_file_that_ends_early_is_an_error(tmp_path):
    path = tmp_path / "rows.bin"
    path.write_bytes(torch.arange(5, dtype=torch.float32).numpy().tobytes()[:-1])
    table = RawFile(path, 5, (), torch.float32)
    assert table.read(0, 4).tolist() == [0, 1, 2, 3]
    with pytest.raises(OSError, match="ends early: expected 5 rows"):
        table.read(0, 5)


def test_parts_of_nothing_are_refused():
    with pytest.raises(ValueError, match="at least one part"):
        Parts([])


def test_a_table_is_left_alone():
    table = TensorTable(torch.arange(3))
    assert as_table(table) is table
    assert torch.equal(as_table(torch.arange(3)).read(0, 3), torch.arange(3))


def test_reading_a_tensor_table_copies_nothing_and_taking_does():
    values = torch.zeros(3)
    table = TensorTable(values)
    assert table.read(1, 3).data_ptr() == values[1:].data_ptr()
    taken = table.take(torch.tensor([0]))
    taken += 1
    assert values[0] == 0
