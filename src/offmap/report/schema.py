"""What a report.json may hold: pydantic models, derived from the records of the language.

Nothing is written down twice: a field added to a record is a field of the schema.
"""

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal

from jaxtyping import AbstractArray
from pydantic import BaseModel, ConfigDict, Field, create_model
from torch import Tensor

from offmap.codec import encode
from offmap.report.report import SCHEMA, Report

Dtype = Literal[
    "float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"
]


class NonFinite(BaseModel):
    """A number that JSON cannot write."""

    number: Literal["nan", "inf", "-inf"]


class Values(BaseModel):
    """A tensor as nested lists; `shape` only where it is empty."""

    tensor: Dtype
    values: Any
    shape: list[int] | None = None


class ExampleFile(BaseModel):
    """Columns with one number for each example, in a parquet file beside the report."""

    file: str = Field(pattern=r"^examples/[^/]+\.parquet$")
    columns: list[str]
    sha256: str


@cache
def document() -> type[BaseModel]:
    """The model of a whole report.json."""
    fields: dict[str, Any] = {
        "version": (Literal[SCHEMA], Field(alias="schema")),
        "examples": (dict[str, ExampleFile], Field(default_factory=dict)),
        **_fields(Report),
    }
    return create_model("OffmapReport", __config__=ConfigDict(title="offmap report"), **fields)


def schema() -> dict[str, Any]:
    """The JSON Schema of report.json."""
    return document().model_json_schema(by_alias=True)


@cache
def _model(record: type) -> type[BaseModel]:
    return create_model(record.__name__, **_fields(record))


def _fields(record: type) -> dict[str, Any]:
    """Of each field of a dataclass, its type in JSON and its default."""
    hints = typing.get_type_hints(record)
    fields: dict[str, Any] = {"kind": (Literal[record.__name__], ...)}
    for field in dataclasses.fields(record):
        if field.name != "per_example":
            fields[field.name] = (_type(hints[field.name]), _default(field))
    return fields


def _default(field: dataclasses.Field) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return Field(default=encode(field.default_factory()))
    return ... if field.default is dataclasses.MISSING else Field(default=encode(field.default))


def _type(hint: Any) -> Any:
    """The type that `codec.encode` gives to values of a hint."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is float:
        return float | NonFinite
    if hint is object:
        return Any
    if isinstance(hint, type) and (hint is Tensor or issubclass(hint, AbstractArray)):
        return Values
    if dataclasses.is_dataclass(hint):
        return _model(typing.cast("type", hint))
    if origin in (typing.Union, types.UnionType):
        return typing.Union[tuple(_type(part) for part in arguments)]  # noqa: UP007 - made of data
    if origin is Mapping:
        return dict[str, _type(arguments[1])]
    if origin in (tuple, Sequence):
        return list[_type(arguments[0])]
    return hint
