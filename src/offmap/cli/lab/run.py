"""`offmap lab run`: run claims, and make the page *What holds*."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from offmap.attempt import InputError
from offmap.cli.audit import INTERRUPTED, MEASURE_FAILED
from offmap.cli.watching import Watching

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.table import Table

    from offmap.lab.finding import Finding

STYLES = {"supported": "green", "refuted": "red", "inconclusive": "yellow", "none": "dim"}


def run(
    names: Annotated[list[str], typer.Argument(help="Claims; `offmap lab list` has them.")] = [],  # noqa: B006 - typer copies it
    every: Annotated[bool, typer.Option("--all", help="Every claim.")] = False,
    scale: Annotated[str, typer.Option(help="smoke (seconds), desk (minutes) or full.")] = "smoke",
    seeds: Annotated[
        int | None, typer.Option(help="How many [default: 5 at smoke and desk, 20 at full].")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of trials, findings and page.")] = Path(
        "offmap-lab"
    ),
    data: Annotated[
        Path | None,
        typer.Option(
            envvar="OFFMAP_DATA", help="Folder of public data sets, where claims read some."
        ),
    ] = None,
    engine: Annotated[str, typer.Option(help="local, ray, or ray://host:port.")] = "local",
    threads: Annotated[int, typer.Option(min=1, help="Threads that a trial computes with.")] = 1,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget what earlier runs of these claims found.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Run claims over several seeds: verdicts, and a page of all findings in the folder.

    Interrupted and started again, it goes on where it was. Exit code 3 if a trial failed.
    \f

    Raises:
        InputError: If no claim is named, or something that was given cannot be used.
        Exit: With the code of an interrupted run, or of one with a trial that failed.
    """  # noqa: D301 - typer ends the help at the form feed
    from rich.console import Console

    if every == bool(names):
        raise InputError("expected names of claims or --all, got " + ("both" if every else "none"))
    from offmap.lab.keep import keep
    from offmap.lab.run import find

    console = Console(quiet=quiet)
    watching = Watching(console, "trials")
    try:
        found = find(
            names, scale=scale, seeds=seeds, out=out, data=data, engine=engine,
            threads=threads, fresh=fresh, watcher=watching,
        )  # fmt: skip
    except KeyboardInterrupt:
        sys.stderr.write(
            f"interrupted: finished trials are kept in {out}; the same command goes on from there\n"
        )
        raise typer.Exit(INTERRUPTED) from None
    finally:
        watching.stop()
    page = keep(found, out)
    _tell(console, found, page)
    if any(one.failed for one in found):
        raise typer.Exit(MEASURE_FAILED)


def _tell(console: "Console", found: "Sequence[Finding]", page: Path) -> None:
    console.print(_table(found))
    for one in found:
        if one.why:
            console.print(f"{one.statement.name}: {one.why}", markup=False, highlight=False)
    reused = sum(done.reused for one in found for done in one.trials)
    total = sum(len(one.trials) for one in found)
    again = f" {reused} of {total} trials were taken from an earlier run." if reused else ""
    console.print(f"What holds: {page}.{again}", markup=False, highlight=False)


def _table(found: "Sequence[Finding]") -> "Table":
    from rich.table import Table

    from offmap.lab.page import effect

    table = Table(box=None, pad_edge=False)
    for title in ("claim", "effect", "line", "verdict", "seeds"):
        table.add_column(title, justify="right" if title in ("effect", "seeds") else "left")
    for one in found:
        verdict = "no verdict" if one.verdict == "none" else one.verdict
        table.add_row(
            one.statement.name, effect(one), one.line,
            f"[{STYLES[one.verdict]}]{verdict}[/]", str(len(one.trials)),
        )  # fmt: skip
    return table
