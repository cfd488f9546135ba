"""Rows read once: in memory where they fit, else in a file that goes with the table."""

import gc

import numpy as np
import pytest
import torch
from PIL import Image

from offmap.attempt import InputError
from offmap.sources.store import as_row, store
from offmap.table import RawFile, TensorTable

ROWS = np.arange(60, dtype=np.uint8).reshape(10, 2, 3)


def blocks(sizes=(3, 1, 6)):
    start = 0
    for size in sizes:
        yield f"block {start}", ROWS[start : start + size]
        start += size


def test_held_where_they_take_half_of_the_budget(tmp_path):
    table = store(blocks(), 10, memory=120, cache=tmp_path)
    assert isinstance(table, TensorTable)
    assert np.array_equal(table.read(0, 10).numpy(), ROWS)
    assert list(tmp_path.iterdir()) == []


def test_kept_in_a_file_where_they_take_more_and_removed_with_the_table(tmp_path):
    table = store(blocks(), 10, memory=119, cache=tmp_path)
    assert isinstance(table, RawFile)
    assert table.dtype == torch.uint8
    assert np.array_equal(table.read(0, 10).numpy(), ROWS)
    assert np.array_equal(table.take(torch.tensor([9, 2])).numpy(), ROWS[[9, 2]])
    assert len(list(tmp_path.iterdir())) == 1
    del table
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_behind_when_reading_fails(tmp_path):
    def broken():
        yield from blocks((3,))
        raise InputError("row 3 cannot be read")

    with pytest.raises(InputError, match="row 3"):
        store(broken(), 10, memory=1, cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("memory", [1, 10**6])
def test_rows_must_be_alike_and_as_many_as_announced(tmp_path, memory):
    def mixed(other):
        yield "a.png", ROWS[:2]
        yield "b.png", other

    with pytest.raises(InputError, match=r"b.png: expected uint8 of shape \(2, 3\) as in a.png"):
        store(mixed(ROWS[:1, :1]), 3, memory=memory, cache=tmp_path)
    with pytest.raises(InputError, match=r"got float32 of shape \(2, 3\)"):
        store(mixed(ROWS[:1].astype(np.float32)), 3, memory=memory, cache=tmp_path)
    with pytest.raises(InputError, match="expected 11 rows, got 10"):
        store(blocks(), 11, memory=memory, cache=tmp_path)
    with pytest.raises(InputError, match="expected 9 rows, got more"):
        store(blocks(), 9, memory=memory, cache=tmp_path)


def test_rows_as_data_sets_give_them():
    assert as_row(torch.tensor([1.5, 2.5]), "r").tolist() == [1.5, 2.5]
    assert as_row([1.5, 2.5], "r").dtype == np.float32
    assert as_row([1, 2], "r").dtype == np.int64
    assert as_row(np.array([1.5]), "r").dtype == np.float64
    assert as_row(Image.new("RGB", (5, 4)), "r").shape == (4, 5, 3)
    assert as_row([torch.ones(2), torch.zeros(2)], "r").tolist() == [[1, 1], [0, 0]]
    assert as_row(3.5, "r").shape == ()


@pytest.mark.parametrize("bad", [None, "text", {"a": 1}, object()])
def test_strange_rows_are_refused(bad):
    with pytest.raises(InputError, match="r: expected an array, a tensor, a list of numbers or an"):
        as_row(bad, "r")


def test_ragged_and_wordy_rows_are_refused():
    for bad in ([[1, 2], [3]], [1, [2]], [[[1], [2, 3]]]):
        with pytest.raises(InputError, match="lists of one length"):
            as_row(bad, "r")
    with pytest.raises(InputError, match="r: expected numbers, got"):
        as_row(["a", "b"], "r")
