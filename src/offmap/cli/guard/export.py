"""`offmap guard export`: network and guard as one program, without offmap."""

from pathlib import Path
from typing import Annotated

import typer

from offmap.cli import options
from offmap.cli.guard import common


def export(
    guard: common.GuardFile,
    out: Annotated[Path, typer.Argument(help="A file that ends in .pt2 or .onnx.")],
    run_file: common.NetworkOf = None,
    demo: options.Demo = None,
    model: options.Model = None,
    weights: options.Weights = None,
    allow_pickle: options.AllowPickle = False,
    parameter: options.Parameter = [],  # noqa: B006 - typer copies it
) -> None:
    """Write network and guard as one program: torch.export (.pt2) or ONNX (.onnx)."""
    from offmap.guard.export import export as write

    loaded = common.load_guard(
        guard, run_file, demo=demo, model=model, weights=weights, allow_pickle=allow_pickle,
        parameters=parameter,
    )  # fmt: skip
    write(loaded, out)
    typer.echo(f"{out}: inputs -> prediction, p_value, accepted, reason, score")
