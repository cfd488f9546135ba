"""What the OpenAPI document says beyond what FastAPI finds by itself."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from offmap.guard.serve.auth import OPEN
from offmap.guard.serve.protocol import InferRequest, Problem, Question

JSON = "application/json"
REFERENCE = "#/components/schemas/{model}"
Responses = dict[int | str, dict[str, Any]]
REFUSALS: Responses = {
    400: {"model": Problem, "description": "Not what was expected"},
    408: {"model": Problem, "description": "The body came too slowly"},
    413: {"model": Problem, "description": "The body is too long"},
    415: {"model": Problem, "description": "The body is of another type"},
    422: {"model": Problem, "description": "A parameter is not what was expected"},
    429: {"model": Problem, "description": "The queue is full: try again later"},
    503: {"model": Problem, "description": "Too much to do, or stopping"},
}


def good(record: type[BaseModel], description: str) -> Responses:
    """What comes back if all is well."""
    schema = {"$ref": REFERENCE.format(model=record.__name__)}
    return {
        200: {"model": record, "description": description, "content": {JSON: {"schema": schema}}}
    }


def taking(bodies: Mapping[str, type[BaseModel] | None]) -> dict[str, Any]:
    """The bodies that a route takes: a record by content type; None: the bytes of a file."""
    content = {
        kind: {
            "schema": {"type": "string", "format": "binary"}
            if record is None
            else {"$ref": REFERENCE.format(model=record.__name__)}
        }
        for kind, record in bodies.items()
    }
    return {"requestBody": {"required": True, "content": content}}


def document(app: FastAPI, *, rows: int, protected: bool) -> None:
    """Complete the app's OpenAPI document: bodies that are read by hand, and the token.

    Args:
        app: With all its routes.
        rows: Inputs in a request, at most.
        protected: Whether a token is asked for.
    """

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(
                title=app.title, version=app.version, description=app.description, routes=app.routes
            )
            schemas = made["components"]["schemas"]
            both = [(Question, "validation"), (InferRequest, "validation")]
            _, found = models_json_schema(both, ref_template=REFERENCE)  # type: ignore[arg-type]
            schemas |= found["$defs"]
            schemas["Question"]["properties"]["inputs"]["maxItems"] = rows
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            if protected:
                _protect(made)
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _protect(made: dict[str, Any]) -> None:
    """Say which routes ask for the token."""
    made["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    refusal = {
        "description": "The token is missing, or another one",
        "content": {JSON: {"schema": {"$ref": REFERENCE.format(model="Problem")}}},
    }
    for path, operations in made["paths"].items():
        for operation in operations.values():
            if path not in OPEN:
                operation["security"] = [{"token": []}]
                operation["responses"]["401"] = refusal
