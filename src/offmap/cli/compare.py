"""`offmap compare`: what changed between two reports, beyond noise."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def compare(
    before: Annotated[Path, typer.Argument(help="A report's folder, or its report.json.")],
    after: Annotated[Path, typer.Argument(help="The other one.")],
    json_: Annotated[
        bool, typer.Option("--json", help="Write the comparison as JSON on standard output.")
    ] = False,
) -> None:
    """Pair two reports and say what is better, worse, or unchanged beyond noise."""
    import json

    from rich.console import Console

    from offmap.report.compare import compare as pair
    from offmap.report.compare import render
    from offmap.report.report import Report

    found = pair(Report.load(before), Report.load(after))
    if json_:
        sys.stdout.write(json.dumps(found.as_dict(), indent=2) + "\n")
    else:
        Console().print(render(found))
