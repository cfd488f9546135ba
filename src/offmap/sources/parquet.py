"""Parquet files: images as Hugging Face stores them, vectors, or columns of numbers."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet
from pyarrow.compute import struct_field  # pyright: ignore[reportAttributeAccessIssue]

from offmap.attempt import InputError, readable
from offmap.run import Split
from offmap.sources.arrow import (
    dense,
    input_columns,
    is_image,
    is_list,
    labels,
    refuse_missing,
    refuse_unknown,
    stored,
    vectors,
)
from offmap.sources.build import Request, build, refuse_empty
from offmap.sources.names import INPUTS, find, listed
from offmap.sources.store import Block, as_row, store

ROWS = 1024  # rows decoded at a time


def load_parquet(path: Path, request: Request) -> Split:
    """A split from a parquet file; the inputs are decoded once.

    Raises:
        InputError: If the file is broken, or its columns are not clear.
    """
    where = str(path)
    with readable(lambda: parquet.ParquetFile(path), where) as file:
        schema = file.schema_arrow
        refuse_unknown(schema.names, [], where)
        refuse_empty(file.metadata.num_rows, where)
        inputs, targets, groups = _columns(schema, request, where)

        def column(name: str | None) -> np.ndarray | None:
            if name is None:
                return None
            return labels(readable(lambda: file.read([name]), where).column(name), name, where)

        found = column(targets), column(groups)
        blocks = _blocks(file, inputs, where)
        table = store(blocks, file.metadata.num_rows, memory=request.memory, cache=request.cache)
    return build(request, table, *found, where=where, file_names=_class_names(schema, targets))


def _columns(
    schema: pa.Schema, request: Request, where: str
) -> tuple[list[str], str | None, str | None]:
    """Names of the inputs, the targets and the groups.

    One column of images or vectors is the input; several columns of numbers are, side by side.

    Raises:
        InputError: If they are not clear.
    """
    broad = [field.name for field in schema if is_image(field.type) or is_list(field.type)]
    _, targets, groups = replace(request, inputs=None).columns(schema.names, where)
    broad = [name for name in broad if name not in (targets, groups)]
    chosen = request.inputs
    if chosen is None and broad:
        chosen = find(broad, INPUTS, given=None, split=request.name, where=where)
        if chosen is None and len(broad) > 1:
            raise InputError(
                f"{where}: expected one column of inputs, got {listed(broad)}: "
                "name it with inputs=..."
            )
        chosen = chosen or broad[0]
    inputs = input_columns(schema.names, chosen, (targets, groups))
    refuse_unknown(schema.names, inputs, where)
    if targets is None:
        spare = [name for name in schema.names if name not in (*inputs, groups)]
        request.must_have_targets(spare if broad else schema.names, where)
    if not inputs:
        raise InputError(f"{where}: expected columns of inputs, got only targets and groups")
    return inputs, targets, groups


def _blocks(file: parquet.ParquetFile, columns: Sequence[str], where: str) -> Iterator[Block]:
    """The rows of the inputs, in order."""
    batches = file.iter_batches(ROWS, columns=list(columns))
    kind = file.schema_arrow.field(columns[0]).type
    start = 0
    while (batch := readable(partial(next, batches, None), where)) is not None:
        if len(columns) == 1 and is_image(kind):
            yield from _images(batch.column(0), columns[0], where, start)
        elif len(columns) == 1 and is_list(kind):
            yield (
                f"{where}, rows from {start}",
                dense(batch.column(0), columns[0], where, start),
            )
        else:
            yield f"{where}, rows from {start}", vectors(batch, columns, where, start)
        start += batch.num_rows


def _images(array: pa.Array, column: str, where: str, start: int) -> Iterator[Block]:
    array = stored(array)
    if pa.types.is_struct(array.type):
        array = struct_field(array, "bytes")
    refuse_missing(array, column, where, start)
    for row, data in enumerate(array.to_pylist(), start):
        place = f"{where}, row {row}"
        yield place, as_row(data, place)[None]


def _class_names(schema: pa.Schema, targets: str | None) -> list[str] | None:
    """The names of the classes that Hugging Face's `datasets` writes beside the columns."""
    said = (schema.metadata or {}).get(b"huggingface")
    if said is None or targets is None:
        return None
    features = readable(lambda: json.loads(said)["info"]["features"], "the huggingface metadata")
    return features[targets].get("names") if isinstance(features.get(targets), dict) else None
