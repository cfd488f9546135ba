"""`offmap guard serve`: a guarded network as a service."""

import os
from pathlib import Path
from types import ModuleType
from typing import Annotated, Literal

import typer

from offmap.attempt import Failure, InputError, attempt
from offmap.cli import options
from offmap.cli.guard import common


def serve(
    guard: common.GuardFile,
    run_file: common.NetworkOf = None,
    demo: options.Demo = None,
    model: options.Model = None,
    weights: options.Weights = None,
    allow_pickle: options.AllowPickle = False,
    parameter: options.Parameter = [],  # noqa: B006 - typer copies it
    host: Annotated[
        str, typer.Option(help="Where to listen; 0.0.0.0: other machines may ask.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8000,
    name: Annotated[str, typer.Option(help="How clients call the model.")] = "guard",
    token_file: Annotated[
        Path | None,
        typer.Option(help="File of the token that clients must send [default: $OFFMAP_TOKEN]."),
    ] = None,
    state: Annotated[
        Path | None, typer.Option(help="SQLite file in which the stream alarm outlives a restart.")
    ] = None,
    drift: Annotated[
        Literal["refuse", "warn", "off"],
        typer.Option(help="What the stream alarm does once traffic has left the map."),
    ] = "refuse",
    gather: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=1000.0,
            metavar="MILLISECONDS",
            help="How long a request waits for others to be judged with it; 0 suits a lone client.",
        ),
    ] = 2.0,
) -> None:
    """Serve answers over HTTP: JSON, npy and images, the Open Inference Protocol, a web page.

    Clients that must show a token send it as `Authorization: Bearer TOKEN`. It is read from a
    file or from the environment, for every user of a machine can read a command line.
    \f

    Raises:
        InputError: If something cannot be loaded, or the extra is not installed.
    """  # noqa: D301 - typer ends the help at the form feed
    parts = attempt(_parts)
    if isinstance(parts, Failure):
        raise InputError(
            f"expected the extra of the service, got {parts.summary}: pip install 'offmap[serve]'"
        )
    auth, limits, run = parts
    given = os.environ.get(auth.VARIABLE)
    token = None if given is None else auth.checked(given, f"${auth.VARIABLE}")
    if token_file is not None:
        token = auth.read_token(token_file)
    loaded = common.load_guard(
        guard, run_file, demo=demo, model=model, weights=weights, allow_pickle=allow_pickle,
        parameters=parameter,
    )  # fmt: skip
    run.serve(
        loaded, host=host, port=port, token=token, state=state, name=name,
        drift=None if drift == "off" else drift,
        limits=limits.Limits(gather_seconds=gather / 1000),
    )  # fmt: skip


def _parts() -> tuple[ModuleType, ModuleType, ModuleType]:
    """Modules that need the extra."""
    from offmap.guard.serve import auth, limits, run

    return auth, limits, run
