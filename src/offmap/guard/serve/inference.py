"""The routes of the Open Inference Protocol, version 2."""

from functools import partial
from importlib.metadata import version as version_of
from typing import Any

from fastapi import APIRouter, HTTPException, Path, Request, Response
from fastapi.responses import JSONResponse
from torch import Tensor

from offmap.attempt import InputError
from offmap.guard.serve.documents import JSON, REFUSALS, good, taking
from offmap.guard.serve.judging import Job
from offmap.guard.serve.limits import body
from offmap.guard.serve.protocol import (
    HEADER,
    InferRequest,
    InferResponse,
    Live,
    ModelMetadata,
    Problem,
    Ready,
    ServerMetadata,
    metadata,
    request_of,
    response_of,
    tensor_of,
    wanted,
)  # fmt: skip
from offmap.guard.serve.service import Service

BINARY = "application/octet-stream"
UNKNOWN: dict[int | str, dict[str, Any]] = {
    404: {"model": Problem, "description": "No such model or version"}
}
NOT_READY: dict[int | str, dict[str, Any]] = {
    503: {"model": Ready, "description": "The service is stopping"}
}


def routes(service: Service) -> APIRouter:
    """The routes, behind which a service stands."""
    router = APIRouter(prefix="/v2", tags=["Open Inference Protocol"])
    name = Path(description="The model", json_schema_extra={"enum": [service.name]})
    version = Path(description="Its version", json_schema_extra={"enum": [service.version]})
    told = metadata(service.name, service.facts, service.judge.broken.prediction)

    @router.get("")
    async def server() -> ServerMetadata:
        """What serves."""
        return ServerMetadata(
            name="offmap", version=version_of("offmap"), extensions=["binary_tensor_data"]
        )

    @router.get("/health/live")
    async def live() -> Live:
        """Whether the process answers."""
        return Live(live=True)

    @router.get("/health/ready", response_model=Ready, responses=NOT_READY)
    async def ready() -> Response:
        """Whether it judges."""
        return _ready(service, None)

    async def model(model: str = name) -> ModelMetadata:
        """What the model takes and gives."""
        _check(service, model)
        return told

    async def model_version(model: str = name, version: str = version) -> ModelMetadata:
        """What that version takes and gives."""
        _check(service, model, version)
        return told

    async def model_ready(model: str = name) -> Response:
        """Whether the model judges."""
        _check(service, model)
        return _ready(service, service.name)

    async def model_version_ready(model: str = name, version: str = version) -> Response:
        """Whether that version judges."""
        _check(service, model, version)
        return _ready(service, service.name)

    async def infer(request: Request, model: str = name) -> Response:
        """Verdicts on a batch: prediction, accepted, p_value, score and reason of each row.

        Numbers of datatype UINT8 are shades: 0 to 255 become the domain's lowest to highest value.
        """
        _check(service, model)
        return await _infer(service, request)

    async def infer_version(
        request: Request, model: str = name, version: str = version
    ) -> Response:
        """Verdicts of that version on a batch."""
        _check(service, model, version)
        return await _infer(service, request)

    one, other = "/models/{model}", "/models/{model}/versions/{version}"
    for path, call in ((one, model), (other, model_version)):
        router.get(path, responses=UNKNOWN)(call)
    for path, call in ((one, model_ready), (other, model_version_ready)):
        router.get(f"{path}/ready", response_model=Ready, responses=UNKNOWN | NOT_READY)(call)
    for path, call in ((one, infer), (other, infer_version)):
        router.post(
            f"{path}/infer",
            response_class=Response,
            responses=REFUSALS | UNKNOWN | good(InferResponse, "The verdicts"),
            openapi_extra=taking({JSON: InferRequest}),
        )(call)
    return router


async def _infer(service: Service, request: Request) -> Response:
    """The verdicts on the inputs of one request.

    Raises:
        HTTPException: If the service does not take the request.
        InputError: If the request is not what the protocol says, or not of the guard's domain.
    """
    kind = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
    if kind not in (JSON, BINARY):
        raise HTTPException(415, f"expected a body of type {JSON} or {BINARY}")
    async with body(request, service.limits, service.room) as data:
        decode = partial(_decoded, service, data, request.headers.get(HEADER))
        asked, inputs = await service.decoded(decode, len(data))
    said = await service.said(Job(inputs))
    assert said.verdict is not None
    content, head = response_of(
        said.verdict, wanted(asked), service.name, service.version, asked.id
    )
    if head is None:
        return Response(content, media_type=JSON)
    return Response(content, media_type=BINARY, headers={HEADER: str(head)})


def _decoded(service: Service, data: bytearray, header: str | None) -> tuple[InferRequest, Tensor]:
    """A request and its inputs.

    Raises:
        InputError: If it is not what the protocol says, or holds none, or too many.
    """
    asked, rest = request_of(data, header)
    rows, most = asked.inputs[0].shape[0], service.limits.rows
    if not 1 <= rows <= most:
        raise InputError(f"expected 1 to {most} inputs in a request, got {rows}")
    return asked, tensor_of(asked, rest, service.facts)


def _check(service: Service, model: str, version: str | None = None) -> None:
    """Refuse another model's name.

    Raises:
        HTTPException: 404.
    """
    if model != service.name or version not in (None, service.version):
        raise HTTPException(
            404, f"expected model {service.name!r} of version {service.version}, got another"
        )


def _ready(service: Service, name: str | None) -> Response:
    state = Ready(name=name, ready=not service.stopping, degraded=service.degraded)
    return JSONResponse(state.model_dump(), 200 if state.ready else 503)
