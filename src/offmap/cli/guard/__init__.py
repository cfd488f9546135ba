"""`offmap guard`: predict, or refuse with a reason, at a guaranteed false-alarm rate."""

import typer

from offmap.cli.guard.answer import answer
from offmap.cli.guard.attack import attack
from offmap.cli.guard.choose import choose
from offmap.cli.guard.export import export
from offmap.cli.guard.fit import fit
from offmap.cli.guard.inspect import inspect
from offmap.cli.guard.serve import serve

guard = typer.Typer(
    help="Put a guard in front of a network: it predicts, or refuses with a reason.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
for command in (choose, fit, inspect, answer, attack, export, serve):
    guard.command()(command)
