"""`offmap guard inspect`: what a guard promises and is made of."""

import json
from typing import Annotated

import typer

from offmap.cli.guard import common


def inspect(
    guard: common.GuardFile,
    json_: Annotated[bool, typer.Option("--json", help="Write the facts as JSON.")] = False,
) -> None:
    """Say what a guard promises and what it was made of. The network is not needed."""
    from offmap.guard.file import header

    facts = header(guard)
    if json_:
        typer.echo(json.dumps(facts, indent=2))
        return
    for name, value in facts.items():
        typer.echo(f"{name}: {value if isinstance(value, str) else json.dumps(value)}")
