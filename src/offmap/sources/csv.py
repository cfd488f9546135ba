"""Tables of text: a header, then one example a line."""

from dataclasses import replace
from pathlib import Path

import torch
from pyarrow import csv

from offmap.attempt import InputError, attempt, readable
from offmap.run import Split
from offmap.sources.arrow import input_columns, labels, refuse_unknown, vectors
from offmap.sources.build import Request, build, refuse_empty
from offmap.table import TensorTable

DELIMITERS = ",;\t"


def load_csv(path: Path, request: Request) -> Split:
    """A split from a CSV file with a header; every column but targets and groups is an input.

    Raises:
        InputError: If the file is broken or larger than half of the budget, the targets cannot
            be told, an input is not a number, or a value is missing.
    """
    where = str(path)
    size = path.stat().st_size
    if 2 * size > request.memory:
        raise InputError(
            f"{where}: a CSV file is read whole, and {size:,} bytes are more than half of the "
            f"memory budget of {request.memory:,}: save it as parquet, which is read in pieces"
        )
    with path.open("rb") as file:
        first = file.readline().decode("utf-8-sig", errors="replace")
    delimiter = max(DELIMITERS, key=first.count)
    options = csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    table = readable(lambda: csv.read_csv(path, parse_options=options), where)
    names = table.column_names
    if names and all(isinstance(attempt(lambda n=name: float(n)), float) for name in names):
        raise InputError(
            f"{where}: expected a header with the names of columns, got {first.strip()!r}"
        )
    refuse_unknown(names, [], where)
    refuse_empty(table.num_rows, where)

    _, targets, groups = replace(request, inputs=None).columns(names, where)
    if targets is None:
        request.must_have_targets(names, where)
    inputs = input_columns(names, request.inputs, (targets, groups))
    refuse_unknown(names, inputs, where)
    if not inputs:
        raise InputError(f"{where}: expected columns of inputs, got only targets and groups")
    rows = torch.from_numpy(vectors(table, inputs, where))
    return build(
        request,
        TensorTable(rows),
        None if targets is None else labels(table.column(targets), targets, where),
        None if groups is None else labels(table.column(groups), groups, where),
        where=where,
    )
