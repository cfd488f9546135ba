"""Rows that are slow to read, read once: held in memory where they fit, else in a file."""

import tempfile
import weakref
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from offmap.attempt import InputError
from offmap.sources.images import decode, pixels
from offmap.table import RawFile, Table, TensorTable

Block = tuple[str, np.ndarray]  # where it is from, and rows [b, ...]

TYPES = {
    np.dtype(name): getattr(torch, name)
    for name in (
        "bool", "uint8", "uint16", "int8", "int16", "int32", "int64",
        "float16", "float32", "float64",
    )
}  # fmt: skip


def torch_type(kind: np.dtype, where: str) -> torch.dtype:
    """The torch type of a numpy type.

    Raises:
        InputError: If there is none.
    """
    if kind.newbyteorder("=") not in TYPES:
        advice = " (an object array is a pickle: save plain numbers)" if kind.hasobject else ""
        raise InputError(
            f"{where}: expected numbers of up to 64 bits, got an array of {kind}{advice}"
        )
    return TYPES[kind.newbyteorder("=")]


def store(blocks: Iterable[Block], count: int, *, memory: int, cache: Path | None) -> Table:
    """All rows: as one tensor where they take at most half of `memory`, else in a temporary file.

    The file lies in the folder `cache` (default: the system's) and goes with the table.

    Args:
        blocks: The rows in order; each of the shape and type of the first.
        count: How many there are, at least one.
        memory: Bytes.
        cache: Where large data go.

    Raises:
        InputError: If a row has another shape or type than the first, or the number is not `count`.
    """
    rows = _alike(blocks, count)
    first = next(rows)
    kind, shape = torch_type(first.dtype, "inputs"), first.shape[1:]
    if count * first[0].nbytes <= memory // 2:
        values = np.empty((count, *shape), first.dtype)
        start = 0
        for block in _again(first, rows):
            values[start : start + len(block)] = block
            start += len(block)
        return TensorTable(torch.from_numpy(values))
    with ExitStack() as undo:
        with tempfile.NamedTemporaryFile(
            dir=cache, prefix="offmap-", suffix=".raw", delete=False
        ) as file:
            path = Path(file.name)
            undo.callback(path.unlink)
            for block in _again(first, rows):
                file.write(np.ascontiguousarray(block).data)
        undo.pop_all()
    table = RawFile(path, count, shape, kind)
    weakref.finalize(table, path.unlink, missing_ok=True)
    return table


def _again(first: np.ndarray, rest: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    yield first
    yield from rest


def _alike(blocks: Iterable[Block], count: int) -> Iterator[np.ndarray]:
    """The rows, checked against the first block and counted.

    Raises:
        InputError: If one differs, or there are more or fewer than `count`.
    """
    model: Block | None = None
    seen = 0
    for where, block in blocks:
        model = model or (where, block)
        if block.shape[1:] != model[1].shape[1:] or block.dtype != model[1].dtype:
            raise InputError(
                f"{where}: expected {_described(model[1])} as in {model[0]}, "
                f"got {_described(block)}"
            )
        seen += len(block)
        if seen > count:
            break
        yield block
    if seen != count:
        raise InputError(f"expected {count} rows, got {'more' if seen > count else seen}")


def _described(block: np.ndarray) -> str:
    return f"{block.dtype} of shape {block.shape[1:]}"


def as_row(value: Any, where: str) -> np.ndarray:
    """One input, as a data set gives it: a number, array, tensor, list, image, or image file.

    Images become uint8 [h, w, c]; lists of Python's floats become float32.

    Raises:
        InputError: If it is none of these, or an image that cannot be read.
    """
    if isinstance(value, Image.Image):
        return pixels(value, where)
    if isinstance(value, dict) and value.get("bytes") is not None:
        value = value["bytes"]  # an image of a Hugging Face data set that was not decoded
    if isinstance(value, bytes):
        return decode(value, where)
    if isinstance(value, Tensor):
        return value.detach().cpu().numpy()
    if isinstance(value, (list, tuple)) and value and isinstance(value[0], Tensor):
        value = torch.stack(list(value)).numpy()
    if not isinstance(value, (np.ndarray, np.generic, list, tuple, int, float)):
        raise InputError(
            f"{where}: expected an array, a tensor, a list of numbers or an image, "
            f"got {type(value).__name__}"
        )
    plain = not isinstance(value, (np.ndarray, np.generic))
    if plain and _ragged(value):
        raise InputError(f"{where}: expected lists of one length at each level, got several")
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise InputError(f"{where}: expected numbers, got {array.dtype}")
    return array.astype(np.float32) if plain and array.dtype == np.float64 else array


def _ragged(value: Any) -> bool:
    """Whether nested lists differ in length, so that they make no array."""
    if not isinstance(value, (list, tuple)) or not any(isinstance(v, (list, tuple)) for v in value):
        return False
    lengths = {len(v) if isinstance(v, (list, tuple)) else -1 for v in value}
    return len(lengths) > 1 or any(_ragged(v) for v in value)
