"""Columns of Arrow tables as arrays, with what is missing refused by row and column."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from offmap.attempt import InputError


def is_list(kind: pa.DataType) -> bool:
    """Whether a column holds vectors."""
    return (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def is_image(kind: pa.DataType) -> bool:
    """Whether a column holds image files: their bytes, or a struct with them (Hugging Face)."""
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def is_number(kind: pa.DataType) -> bool:
    """Whether a column holds one number a row."""
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)


def stored(array: pa.Array | pa.ChunkedArray) -> pa.Array:
    """In one piece, without dictionaries and extension types around the plain values."""
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # what combine_chunks gives when there is no chunk
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    return array.dictionary_decode() if isinstance(array, pa.DictionaryArray) else array


def refuse_missing(
    array: pa.Array, column: str, where: str, start: int = 0, width: int = 1
) -> None:
    """Refuses a column with nulls, of which `width` values make a row.

    Raises:
        InputError: If there is one; it names the row.
    """
    if array.null_count:
        empty = np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False))
        row = start + int(empty[0]) // width
        raise InputError(f"{where}: expected a value, got none at row {row}, column {column!r}")


def dense(array: pa.Array, column: str, where: str, start: int = 0, width: int = 1) -> np.ndarray:
    """Numbers, or (nested) lists of them of one length, as an array [n, ...]; float64 as float32.

    Raises:
        InputError: If something is missing, of another length than the first, or no number.
    """
    array = stored(array)
    refuse_missing(array, column, where, start, width)
    if is_list(array.type):
        lengths = _lengths(array)
        length = int(lengths[0]) if len(lengths) else 0
        if len(other := np.flatnonzero(lengths != length)):
            raise InputError(
                f"{where}: expected {length} values as in row {start}, got {lengths[other[0]]} "
                f"at row {start + int(other[0]) // width}, column {column!r}"
            )
        inner = dense(array.flatten(), column, where, start, width * max(1, length))
        return inner.reshape(len(array), length, *inner.shape[1:])
    if not is_number(array.type):
        raise InputError(f"{where}: expected numbers in column {column!r}, got {array.type}")
    values = array.to_numpy(zero_copy_only=False)
    return values.astype(np.float32) if values.dtype == np.float64 else values


def _lengths(array: pa.Array) -> np.ndarray:
    if pa.types.is_fixed_size_list(array.type):
        return np.full(len(array), array.type.list_size)
    return np.diff(array.offsets.to_numpy())


def vectors(
    batch: pa.RecordBatch | pa.Table, columns: Sequence[str], where: str, start: int = 0
) -> np.ndarray:
    """Columns of numbers side by side, float32 [n, columns].

    Raises:
        InputError: If a value is missing, not finite or no number; row and column are named.
    """
    rows = np.empty((batch.num_rows, len(columns)), np.float32)
    for position, column in enumerate(columns):
        values = stored(batch.column(column))
        if not is_number(values.type):
            raise InputError(
                f"{where}: expected numbers in column {column!r}, got {values.type}: leave it out "
                "with inputs='a,b,...', or turn it into numbers"
            )
        refuse_missing(values, column, where, start)
        rows[:, position] = values.to_numpy(zero_copy_only=False)
        broken = np.flatnonzero(~np.isfinite(rows[:, position]))
        if len(broken):
            row = int(broken[0])
            raise InputError(
                f"{where}: expected a finite number, got {rows[row, position]} at row "
                f"{start + row}, column {column!r}"
            )
    return rows


def labels(array: pa.Array | pa.ChunkedArray, column: str, where: str) -> np.ndarray:
    """A column of targets or groups: strings, numbers or lists of numbers.

    Raises:
        InputError: If something is missing, or of another type.
    """
    array = stored(array)
    refuse_missing(array, column, where)
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        return np.asarray(array.to_pylist(), dtype=np.str_)
    return dense(array, column, where)


def input_columns(
    names: Sequence[str], given: str | None, others: Sequence[str | None]
) -> list[str]:
    """The columns of a row of numbers: those given ('a' or 'a,b'), or all but `others`."""
    if given is None:
        return [name for name in names if name not in others]
    return [given] if given in names else [name.strip() for name in given.split(",")]


def refuse_unknown(names: Sequence[str], wanted: Sequence[str], where: str) -> None:
    """Refuses columns that are not there, and tables in which a name stands twice.

    Raises:
        InputError: In both cases.
    """
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(
            f"{where}: expected a name for each column, got {twice[0]!r} more than once"
        )
    for name in wanted:
        if name not in names:
            raise InputError(f"{where}: expected {name!r}, got only {', '.join(map(repr, names))}")
