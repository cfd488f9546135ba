"""report.json and examples/*.parquet: a report on disk, whole, validated, and read back."""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from pydantic import ValidationError
from torch import Tensor

from offmap.attempt import InputError
from offmap.codec import RECORDS, decode, encode
from offmap.files import write_whole
from offmap.plan import Plan, Planned, Shared
from offmap.reading import Entry, Reading
from offmap.report.report import SCHEMA, Provenance, Report
from offmap.report.schema import document, schema

__all__ = ["load", "save", "schema"]

NAME = "report.json"
NO_SPLIT = "all"  # a name that no split can have: file of the measures that are not about one
ROW = "row"
KNOWN = {**RECORDS} | {kind.__name__: kind for kind in (Plan, Planned, Shared, Provenance, Report)}


def save(report: Report, folder: Path) -> Path:
    """Write `report.json` and the columns of the examples into a folder.

    The columns come first and the JSON names them by their digest, so that a reader never pairs a
    report with the columns of another.
    """
    files = {split: _write(columns, split, folder) for split, columns in _columns(report).items()}
    content = {"schema": SCHEMA, "examples": files, **encode(report)}
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    write_whole(folder / NAME, text.encode("utf-8", "backslashreplace"))
    return folder / NAME


def load(path: Path) -> Report:
    """Read a report from its folder or its `report.json`.

    Without the `examples` folder beside it (a report.json that was copied alone) the readings
    have no per-example columns.

    Raises:
        InputError: If it is missing, cut off, not a report of offmap, or of a newer schema.
    """
    path = path / NAME if path.is_dir() else path
    content = _parsed(path)
    try:
        valid = document().model_validate(content, strict=True)
        values = valid.model_dump()
        files = values.pop("examples")
        values.pop("version")
        report = decode(values, KNOWN)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        message = f"{path}: expected a report of offmap, got {first['msg']!r} at {place!r}"
        raise InputError(f"{message}: write it again with offmap audit") from error
    except ValueError as error:
        raise InputError(f"{path}: expected a report of offmap, got one with {error}") from error
    return _with_columns(report, {split: _read(path.parent, f) for split, f in files.items()})


def _parsed(path: Path) -> dict[str, Any]:
    """The JSON of a report of a schema that this version reads.

    Raises:
        InputError: If it is anything else.
    """
    if not path.is_file():
        raise InputError(f"expected a report.json, or a folder with one, got {str(path)!r}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(
            f"{path}: expected the JSON of a report, got a file that is cut off or is not JSON "
            f"({error}): write it again with offmap audit"
        ) from error
    version = content.get("schema") if isinstance(content, dict) else None
    if type(version) is not int or content.get("kind") != "Report":
        raise InputError(f"{path}: expected a report of offmap, got JSON of something else")
    if version != SCHEMA:
        age, what = ("newer", "update offmap") if version > SCHEMA else ("older", "audit again")
        raise InputError(
            f"{path}: expected a report of schema {SCHEMA}, got one of schema {version}, written "
            f"by a {age} offmap: {what}"
        )
    return content


# ------------------------------------------------------------------------- columns of examples


def _columns(report: Report) -> dict[str, dict[str, Tensor]]:
    """The per-example columns by split and measure."""
    columns: dict[str, dict[str, Tensor]] = {}
    for entry in report.entries:
        if entry.reading is not None and entry.reading.per_example is not None:
            mine = columns.setdefault(entry.split or NO_SPLIT, {})
            mine[entry.measure] = entry.reading.per_example
    return columns


def _write(columns: Mapping[str, Tensor], split: str, folder: Path) -> dict[str, object]:
    """One parquet file: `row`, then float64 columns; NaN is "no answer", null "no such row"."""
    length = max(len(column) for column in columns.values())
    table: dict[str, pa.Array] = {ROW: pa.array(range(length), pa.int64())}
    for measure, column in columns.items():
        values = pa.array(column.detach().cpu().double().numpy(), from_pandas=False)
        short = pa.nulls(length - len(column), pa.float64())
        table[measure] = pa.concat_arrays([values, short])
    buffer = io.BytesIO()
    pq.write_table(pa.table(table), buffer, compression="zstd")
    content = buffer.getvalue()
    name = f"examples/{quote(split, safe=' ', errors='surrogateescape')}.parquet"
    write_whole(folder / name, content)
    digest = hashlib.sha256(content).hexdigest()
    return {"file": name, "columns": list(columns), "sha256": digest}


def _read(folder: Path, file: Mapping[str, Any]) -> dict[str, Tensor]:
    """The columns of one file; none if there is no `examples` folder.

    Raises:
        InputError: If the file is missing beside others, or is not the one that was written.
    """
    path = folder / file["file"]
    if not path.parent.is_dir():
        return {}
    content = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != file["sha256"]:
        raise InputError(
            f"{path}: expected the columns that belong to {NAME}, got "
            f"{'a file that changed since' if content else 'no file'}: write the report again, or "
            "move the examples folder away to read the report without them"
        )
    table = pq.read_table(io.BytesIO(content))
    return {
        name: torch.tensor(table[name].drop_null().to_numpy(), dtype=torch.double)
        for name in file["columns"]
    }


def _with_columns(report: Report, columns: Mapping[str, Mapping[str, Tensor]]) -> Report:
    def filled(entry: Entry) -> Entry:
        column = columns.get(entry.split or NO_SPLIT, {}).get(entry.measure)
        if column is None or not isinstance(entry.outcome, Reading):
            return entry
        return replace(entry, outcome=replace(entry.outcome, per_example=column))

    return replace(report, entries=tuple(filled(entry) for entry in report.entries))
