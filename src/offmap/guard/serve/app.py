"""The application: routes, errors in one sentence, the page, metrics. No input leaves it."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version as version_of
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.routing import Match

from offmap.attempt import InputError
from offmap.guard.guard import Guard
from offmap.guard.serve import answering, inference
from offmap.guard.serve.auth import Doorkeeper, checked
from offmap.guard.serve.documents import document
from offmap.guard.serve.judging import Drift
from offmap.guard.serve.limits import Limits
from offmap.guard.serve.metrics import Observer
from offmap.guard.serve.service import Service
from offmap.guard.serve.store import Store

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
PAGE = {"/": ("page.html", "text/html"), "/page.js": ("page.js", "text/javascript"),
        "/page.css": ("page.css", "text/css")}  # fmt: skip
# Nothing from elsewhere, nothing inline, in no frame: what the page shows cannot become a script.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY, "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer", "cache-control": "no-cache",
}  # fmt: skip
# FastAPI can report to OpenTelemetry, errors with their messages included, if the environment says
# so. This service tells nobody: who wants numbers reads /metrics.
SILENCE: Any = {
    "auto_configure": False, "tracing": False, "metrics": False, "logs": False,
    "operation_spans": False,
}  # fmt: skip


def create_app(
    guard: Guard,
    *,
    name: str = "guard",
    token: str | None = None,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    store: Store | None = None,
    drift: Drift | None = "refuse",
) -> FastAPI:
    """The service as an ASGI application.

    Args:
        guard: What is served.
        name: How clients call it: `/v2/models/{name}`.
        token: Asked of every request but those for health and the bare page; None: no one is asked.
        limits: What the service takes on.
        store: Keeps the stream alarm's state; None: it is forgotten when the process ends.
        drift: What the stream alarm does: `refuse` what would be accepted, or `warn` beside the
            answers; None: nobody watches the traffic.

    Raises:
        InputError: If the name or the token cannot be used, the guard fails on a plain input, or
            the stored state is broken.
    """
    if not NAME.fullmatch(name):
        raise InputError(
            f"expected a name of up to 100 letters, digits, dots, dashes and underscores, "
            f"got {name!r}"
        )
    service = Service(guard, name, limits, store, drift)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        await run_in_threadpool(service.stop)

    app = FastAPI(
        title="offmap guard",
        description="A network that answers, or refuses with a reason.",
        version=version_of("offmap"),
        docs_url=None,  # these pages load scripts from a content network
        redoc_url=None,
        lifespan=lifespan,
        telemetry=SILENCE,
    )
    app.include_router(inference.routes(service))
    app.include_router(answering.routes(service))
    _add_metrics(app, service)
    _add_page(app)
    _add_errors(app)
    if token is not None:
        app.add_middleware(Doorkeeper, token=checked(token, "token"))
    app.add_middleware(Observer, metrics=service.metrics)  # the outermost: it sees all that happens
    document(app, rows=limits.rows, protected=token is not None)
    app.state.service = service
    return app


def _add_metrics(app: FastAPI, service: Service) -> None:
    text = {"content": {CONTENT_TYPE_LATEST.partition(";")[0]: {"schema": {"type": "string"}}}}

    @app.get("/metrics", response_class=Response, responses={200: text}, tags=["Prometheus"])
    async def metrics() -> Response:
        """What Prometheus reads."""
        return Response(service.metrics.text(), headers={"content-type": CONTENT_TYPE_LATEST})


def _add_page(app: FastAPI) -> None:
    folder = files("offmap.guard.serve")
    for path, (file, kind) in PAGE.items():
        text = folder.joinpath(file).read_text(encoding="utf-8")

        async def page(_: Request, text: str = text, kind: str = kind) -> Response:
            return Response(text, media_type=kind, headers=HEADERS)

        app.add_route(path, page, include_in_schema=False)


def _add_errors(app: FastAPI) -> None:
    """Every refusal is `{"error": sentence}`. None quotes what was sent."""

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        if error.status_code == 405:  # the router names the methods of one route alone
            headers["Allow"] = ", ".join(_allowed(app, request.url.path))
        return JSONResponse({"error": error.detail}, error.status_code, headers)

    @app.exception_handler(InputError)
    async def wrong(_: Request, error: InputError) -> Response:
        return JSONResponse({"error": " ".join(str(error).split())}, 400)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        return JSONResponse({"error": f"{first['loc'][-1]}: {first['msg']}"}, 422)

    @app.exception_handler(Exception)
    async def broken(_: Request, error: Exception) -> Response:
        return JSONResponse({"error": "the service failed: its log says where"}, 500)


def _allowed(app: FastAPI, path: str) -> list[str]:
    """The methods that a path knows, over all its routes."""
    found = {
        method
        for method in ("DELETE", "GET", "HEAD", "POST", "PUT", "PATCH", "OPTIONS")
        for route in app.routes
        if route.matches({"type": "http", "method": method, "path": path})[0] is Match.FULL
    }
    return sorted(found)
