"""Records of the language as plain JSON, and back. No pickle, no code in the data."""

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from offmap.estimate import Estimate
from offmap.figures import Bars, Curve, Gallery, Histogram, Matrix, Scatter
from offmap.measure import Card
from offmap.reading import Entry, Failed, Reading, Skipped

RECORDS = {
    kind.__name__: kind
    for kind in (
        Estimate, Curve, Histogram, Scatter, Bars, Matrix, Gallery,
        Reading, Skipped, Failed, Entry, Card,
    )
}  # fmt: skip
LEFT_OUT = {"per_example"}  # as long as the data: kept in binary files beside the JSON
RESERVED = re.compile(r"(kind|tensor|number)_*")  # keys of a mapping that need an underscore more


def encode(value: object) -> Any:
    """A record, or anything it is made of, as JSON values. NaN and infinities become strings.

    Raises:
        TypeError: If the value has no place in a report.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [f.name for f in dataclasses.fields(value) if f.name not in LEFT_OUT]
        return {"kind": type(value).__name__} | {n: encode(getattr(value, n)) for n in names}
    if isinstance(value, Tensor):
        shape = {} if value.numel() else {"shape": list(value.shape)}
        dtype = str(value.dtype).removeprefix("torch.")
        plain = not value.is_floating_point() or bool(value.isfinite().all())
        values = value.tolist() if plain else encode(value.tolist())
        return {"tensor": dtype, "values": values} | shape
    if isinstance(value, float) and not math.isfinite(value):
        return {"number": str(value)}
    if isinstance(value, Mapping):
        return {_escaped(str(key)): encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    raise TypeError(f"expected plain data in a report, got {type(value).__name__}")


def decode(value: Any, records: Mapping[str, type] = RECORDS) -> Any:
    """The inverse of `encode`. Lists become tuples.

    Raises:
        ValueError: If it names a record that is not known.
    """
    if isinstance(value, list):
        return tuple(decode(item, records) for item in value)
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        values = torch.tensor(_numbers(value["values"]), dtype=getattr(torch, value["tensor"]))
        return values.reshape(value.get("shape") or values.shape)
    if "number" in value:
        return float(value["number"])
    if "kind" not in value:
        return {_unescaped(key): decode(item, records) for key, item in value.items()}
    fields = {key: decode(item, records) for key, item in value.items() if key != "kind"}
    if value["kind"] not in records:
        raise ValueError(f"expected a record of offmap, got {value['kind']!r}")
    return records[value["kind"]](**fields)


def _escaped(key: str) -> str:
    """A mapping may have a key `kind`: it must not be taken for a record."""
    return f"{key}_" if RESERVED.fullmatch(key) else key


def _unescaped(key: str) -> str:
    return key[:-1] if RESERVED.fullmatch(key) else key


def _numbers(values: Any) -> Any:
    """Nested lists with their non-finite numbers put back."""
    if isinstance(values, list):
        return [_numbers(item) for item in values]
    return float(values["number"]) if isinstance(values, dict) else values
