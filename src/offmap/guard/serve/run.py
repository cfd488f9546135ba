"""The service as a process: uvicorn, on loopback unless told, stopped gracefully."""

import gc
import logging
from pathlib import Path

import uvicorn

from offmap.attempt import InputError
from offmap.guard.guard import Guard
from offmap.guard.serve import logs
from offmap.guard.serve.app import create_app
from offmap.guard.serve.judging import Drift
from offmap.guard.serve.limits import Limits
from offmap.guard.serve.patience import patient
from offmap.guard.serve.store import Store

LOOPBACK = ("127.0.0.1", "::1", "localhost")
HEAD = 16 * 2**10  # bytes of the head of a request


def serve(
    guard: Guard,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    state: Path | None = None,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    name: str = "guard",
    drift: Drift | None = "refuse",
) -> None:
    """Serve a guard until the process is told to stop; what was accepted is finished then.

    Args:
        guard: What is served.
        host: The address to listen at.
        port: The port; 0: any free one, which the log names.
        token: Asked of every request but those for health; None: no one is asked.
        state: The file that keeps the stream alarm's state; None: it ends with the process.
        limits: What the service takes on.
        name: How clients call the guard.
        drift: What the stream alarm does: `refuse`, `warn`, or nothing (None).

    Raises:
        InputError: If something given cannot be used, or the port cannot be had.
    """
    app = create_app(
        guard, name=name, token=token, limits=limits, drift=drift,
        store=None if state is None or drift is None else Store(state),
    )  # fmt: skip
    config = uvicorn.Config(
        app, host, port,
        http=patient(limits.header_seconds), ws="none", lifespan="on",
        log_config=logs.settings(), access_log=False, server_header=False,
        limit_concurrency=limits.connections + 1, backlog=limits.connections,
        timeout_keep_alive=max(1, round(limits.header_seconds)),
        timeout_graceful_shutdown=max(1, round(limits.stop_seconds)),
        h11_max_incomplete_event_size=HEAD,
    )  # fmt: skip
    if token is None and host not in LOOPBACK:
        logs.say("anyone who reaches this address may ask: there is no token", logging.WARNING)
    gc.collect()
    gc.freeze()  # what is loaded by now stays: to walk it again and again would hold up requests
    try:
        uvicorn.Server(config).run()
    except SystemExit as end:  # uvicorn's way to say that it could not start
        if end.code:
            raise InputError(
                f"expected an address that is free to listen at, got {host}:{port}: "
                "its log says why; choose another --port"
            ) from None
