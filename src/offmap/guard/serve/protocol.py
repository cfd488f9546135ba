"""The Open Inference Protocol, version 2, over HTTP: its records, and tensors in and out of them.

Of its extensions, `binary_tensor_data`: tensors behind the JSON, as the usual clients send them.
Source: https://github.com/open-inference/open-inference-protocol
"""

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema
from pydantic_core import from_json, to_json
from torch import Tensor

from offmap.attempt import Failure, InputError, attempt
from offmap.guard.facts import REASONS, Facts
from offmap.guard.serve.decoding import fitted, numbers
from offmap.guard.verdict import Verdict

HEADER = "inference-header-content-length"  # bytes of the JSON, where tensors follow it
TYPES = {
    "BOOL": np.bool_, "UINT8": np.uint8, "UINT16": np.uint16, "UINT32": np.uint32,
    "UINT64": np.uint64, "INT8": np.int8, "INT16": np.int16, "INT32": np.int32, "INT64": np.int64,
    "FP16": np.float16, "FP32": np.float32, "FP64": np.float64,
}  # fmt: skip
NAMES = {np.dtype(kind): name for name, kind in TYPES.items()}
Datatype = Literal[
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64",
    "FP16", "FP32", "FP64",
]  # fmt: skip
OutputName = Literal["prediction", "accepted", "p_value", "score", "reason"]
Parameters = dict[str, Any]
Record = TypeVar("Record", bound=BaseModel)


class Strict(BaseModel):
    """A record that takes JSON for what it is: a text is no number."""

    model_config = ConfigDict(strict=True)


class Problem(BaseModel):
    """Why a request was refused, in one sentence."""

    error: str


class Tensor2(Strict):
    """A tensor in a request."""

    name: str
    shape: list[Annotated[int, Field(ge=0)]] = Field(min_length=1, description="[n, *shape]")
    datatype: Datatype
    parameters: Parameters | None = None
    data: Annotated[
        Any,
        WithJsonSchema({
            "type": "array", "items": {},
            "description": "Numbers, flat or nested; as many as the shape says.",
        }),
    ] = None  # fmt: skip


class Wanted(Strict):
    """An output that a request asks for."""

    name: OutputName
    parameters: Parameters | None = None


class InferRequest(Strict):
    """A request for verdicts."""

    id: str | None = None
    parameters: Parameters | None = None
    inputs: list[Tensor2] = Field(min_length=1, max_length=1)
    outputs: list[Wanted] | None = None


class Question(Strict):
    """Inputs, one by one: nested lists in the domain's shape, or flat. A bad one spoils itself."""

    inputs: list[Any] = Field(min_length=1)


class Output(BaseModel):
    """A tensor in a response. Where there is no number (a broken contract), it is null."""

    name: str
    shape: list[int]
    datatype: str
    parameters: Parameters | None = None
    data: list[Any] | None = None


class InferResponse(BaseModel):
    """The verdicts, row by row."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[Output]


class TensorMetadata(BaseModel):
    """Name, type and shape of a tensor; -1 is any number of rows."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(BaseModel):
    """What the model takes and gives."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ServerMetadata(BaseModel):
    """What serves."""

    name: str
    version: str
    extensions: list[str]


class Live(BaseModel):
    """Whether the process answers."""

    live: bool


class Ready(BaseModel):
    """Whether it judges; `degraded` says what else is wrong, in one sentence."""

    name: str | None = None
    ready: bool
    degraded: str | None = None


def parsed(record: type[Record], data: bytes | bytearray | memoryview) -> Record:
    """A record from JSON.

    Raises:
        InputError: If it is not JSON, or another record. Nothing of it is quoted.
    """
    value = attempt(lambda: from_json(bytes(data)))
    if isinstance(value, Failure):
        raise InputError("expected JSON, got something that is not")
    try:
        return record.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the body"
        raise InputError(f"{place}: {first['msg'][0].lower()}{first['msg'][1:]}") from None


def request_of(data: bytearray, header: str | None) -> tuple[InferRequest, memoryview]:
    """A request and the bytes behind it.

    Args:
        data: The body.
        header: How many of its bytes are JSON; None: all of them.

    Raises:
        InputError: If it is none.
    """
    view = memoryview(data)
    if header is None:
        return parsed(InferRequest, view), view[len(view) :]
    if not header.isdecimal() or int(header[:20]) > len(data):
        raise InputError(f"expected at most {len(data)} in {HEADER}, got another number")
    return parsed(InferRequest, view[: int(header)]), view[int(header) :]


def tensor_of(request: InferRequest, rest: memoryview, facts: Facts) -> Tensor:
    """The inputs [n, *shape] of a request.

    Args:
        request: The JSON.
        rest: The bytes behind it.
        facts: Of the guard.

    Raises:
        InputError: If data, shape and datatype contradict each other or the guard's domain.
    """
    (given,) = request.inputs
    kind = np.dtype(TYPES[given.datatype])
    size = (given.parameters or {}).get("binary_data_size")
    if size is None:
        array = _typed(given.data, kind)
    elif type(size) is not int or size != len(rest) or size % kind.itemsize:
        raise InputError(f"expected binary_data_size to be the {len(rest)} bytes behind the JSON")
    else:
        array = np.frombuffer(rest, kind.newbyteorder("<")).astype(kind, copy=False)
    if array.size != math.prod(given.shape) or array.shape not in (
        tuple(given.shape), (array.size,),
    ):  # fmt: skip
        raise InputError(
            f"expected data of shape {given.shape}, flat or nested, got {list(array.shape)}"
        )
    array = array.reshape(given.shape)
    if array.shape[1:] != facts.domain.shape:
        expected = ", ".join(map(str, ("n", *facts.domain.shape)))
        raise InputError(f"expected shape [{expected}], got {given.shape}")
    return fitted(array, facts.domain)


def _typed(data: object, kind: np.dtype) -> np.ndarray:
    """Numbers in JSON as the datatype says they are.

    Raises:
        InputError: If they are not.
    """
    if not isinstance(data, list):
        raise InputError("inputs.0.data: expected a list of numbers")
    array = numbers(data)
    if kind.kind == "b":
        raise InputError("expected numbers, got datatype BOOL")
    if kind.kind in "iu":
        bounds = np.iinfo(kind)
        whole = array.dtype.kind == "i"
        if array.size and not (whole and bounds.min <= array.min() and array.max() <= bounds.max):
            raise InputError(f"expected whole numbers of type {NAMES[kind]}, got others")
        return array.astype(kind)
    return array


def wanted(request: InferRequest) -> dict[str, bool]:
    """The outputs that a request asks for, and whether as bytes."""
    default = bool((request.parameters or {}).get("binary_data_output", False))
    if not request.outputs:
        return dict.fromkeys(OutputName.__args__, default)
    return {
        one.name: bool((one.parameters or {}).get("binary_data", default))
        for one in request.outputs
    }


def response_of(
    verdict: Verdict, outputs: dict[str, bool], name: str, version: str, identity: str | None
) -> tuple[bytes, int | None]:
    """The body of a response, and how many of its bytes are JSON where others follow."""
    tensors, tail = [], b""
    for output, binary in outputs.items():
        column = getattr(verdict, output)
        values = column.numpy()
        text = output == "reason"
        tensor: dict[str, Any] = {
            "name": output,
            "shape": list(values.shape),
            "datatype": "BYTES" if text else NAMES[values.dtype],
        }
        said = [REASONS[code] for code in values] if text else values.reshape(-1).tolist()
        if binary:
            raw = _texts(said) if text else values.astype(values.dtype.newbyteorder("<")).tobytes()
            tensor["parameters"] = {"binary_data_size": len(raw)}
            tail += raw
        else:
            tensor["data"] = said
        tensors.append(tensor)
    head: dict[str, Any] = {"model_name": name, "model_version": version, "outputs": tensors}
    if identity is not None:
        head["id"] = identity
    text = to_json(head, inf_nan_mode="null")
    return text + tail, len(text) if any(outputs.values()) else None


def _texts(values: Sequence[str]) -> bytes:
    """Each text behind its length, four bytes, little-endian."""
    return b"".join(len(v).to_bytes(4, "little") + v.encode() for v in values)


def metadata(name: str, facts: Facts, prediction: Tensor) -> ModelMetadata:
    """What the model takes and gives.

    Args:
        name: How the model is called.
        facts: Of the guard.
        prediction: The prediction for one input [1, ...].
    """
    domain = facts.domain
    kind = str(domain.dtype).removeprefix("torch.")
    datatype = NAMES[np.dtype(kind)] if kind != "bfloat16" else "FP32"
    columns = {"accepted": "BOOL", "p_value": "FP64", "score": "FP64", "reason": "BYTES"}
    told = TensorMetadata(
        name="prediction", datatype=NAMES[prediction.numpy().dtype],
        shape=[-1, *prediction.shape[1:]],
    )  # fmt: skip
    rest = [TensorMetadata(name=n, datatype=kind, shape=[-1]) for n, kind in columns.items()]
    taken = TensorMetadata(name="input", datatype=datatype, shape=[-1, *domain.shape])
    return ModelMetadata(
        name=name, versions=[facts.model_version], platform="offmap_pytorch",
        inputs=[taken], outputs=[told, *rest],
    )  # fmt: skip
