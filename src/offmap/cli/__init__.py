"""The command line. Each command is a file; what is heavy is imported when a command runs."""

import os
from collections.abc import Sequence

import typer

from offmap.attempt import InputError
from offmap.cli.audit import WRONG_INPUT, audit
from offmap.cli.compare import compare
from offmap.cli.explain import explain
from offmap.cli.guard import guard
from offmap.cli.hull_calculator import hull_calculator
from offmap.cli.lab import lab
from offmap.cli.plan import plan

app = typer.Typer(
    help="Know where your model's map ends: audit a trained PyTorch network on its own data.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (audit, plan, explain, compare, hull_calculator):
    app.command()(command)
app.add_typer(guard, name="guard")
app.add_typer(lab, name="lab")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code. What was given wrongly is one sentence, and 2.

    Args:
        arguments: Without the name of the program; those it was started with where None.
    """
    # Threads that wait should sleep: spinning ones make a busy machine several times slower.
    # Read once, when torch is loaded, which is later.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        app(arguments)
    except InputError as error:
        typer.echo(f"offmap: {' '.join(str(error).split())}", err=True)
        return WRONG_INPUT
    except SystemExit as end:  # how typer ends, always
        return int(end.code or 0)
    return 0
