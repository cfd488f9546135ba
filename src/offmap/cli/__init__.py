"""The command line. Each command is a file; what is heavy is imported when a command runs."""

import sys

import typer

from offmap.attempt import InputError
from offmap.cli.audit import audit
from offmap.cli.compare import compare
from offmap.cli.explain import explain
from offmap.cli.plan import plan

app = typer.Typer(
    help="Know where your model's map ends: audit a trained PyTorch network on its own data.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (audit, plan, explain, compare):
    app.command()(command)


def main() -> None:
    """Run a command; what the user gave wrongly is one sentence and exit code 2."""
    try:
        app()
    except InputError as error:
        typer.echo(f"offmap: {error}", err=True)
        sys.exit(2)
