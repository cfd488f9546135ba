"""`offmap lab`: claims from deep-learning theory, with verdicts."""

import typer

from offmap.cli.lab.list import list_
from offmap.cli.lab.run import run
from offmap.cli.lab.show import show

lab = typer.Typer(
    help="Run claims from theory: predictions fixed in advance, verdicts from intervals.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
lab.command("list")(list_)
for command in (show, run):
    lab.command()(command)
