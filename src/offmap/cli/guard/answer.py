"""`offmap guard answer`: what a guard says of the rows of a file."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from offmap.attempt import InputError
from offmap.cli import options
from offmap.cli.guard import common

if TYPE_CHECKING:
    from offmap.guard.answer import Answer

SHOWN = 5  # rows, where none are asked for
MOST = 20  # strangers that are named


def answer(
    guard: common.GuardFile,
    data: Annotated[Path, typer.Argument(help="Inputs: npz, npy, parquet, csv, image folder.")],
    run_file: common.NetworkOf = None,
    demo: options.Demo = None,
    model: options.Model = None,
    weights: options.Weights = None,
    inputs: options.Inputs = None,
    allow_pickle: options.AllowPickle = False,
    parameter: options.Parameter = [],  # noqa: B006 - typer copies it
    row: Annotated[list[int], typer.Option(help="Which rows; repeatable [default: 0 to 4].")] = [],  # noqa: B006
    picture: Annotated[
        Path | None, typer.Option(help="PNG of the first row beside its nearest examples.")
    ] = None,
    discoveries: Annotated[
        float | None,
        typer.Option(help="Say which rows of the whole file are strangers, at this rate of error."),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="One answer as JSON a line.")] = False,
) -> None:
    """Say what the guard answers to inputs of a file, and why.

    What cannot be used is one sentence, and exit code 2.
    \f

    Raises:
        InputError: If a row does not exist, a rate is none, or something cannot be read.
    """  # noqa: D301 - typer ends the help at the form feed
    import torch

    from offmap.sources import load_split

    loaded = common.load_guard(
        guard, run_file, demo=demo, model=model, weights=weights, allow_pickle=allow_pickle,
        parameters=parameter,
    )  # fmt: skip
    split = load_split(data, name="test", inputs=inputs)
    if discoveries is not None:
        if not 0 < discoveries < 1:
            raise InputError(f"expected --discoveries between 0 and 1, got {discoveries:g}")
        strange = loaded.strangers(split.inputs, discoveries)
        rows = strange.nonzero().flatten().tolist()
        said = {"rate": discoveries, "strangers": rows, "rows": len(split)}
        typer.echo(json.dumps(said) if json_ else _discovered(rows, len(split), discoveries))
        return
    rows = row or list(range(min(SHOWN, len(split))))
    for one in rows:
        if not 0 <= one < len(split):
            raise InputError(f"{data}: expected rows from 0 to {len(split) - 1}, got {one}")
    taken = split.table.take(torch.tensor(rows))
    answers = loaded.answer(taken)
    for one, said in zip(rows, answers, strict=True):
        typer.echo(json.dumps({"row": one, **asdict(said)}) if json_ else f"{one}: {text(said)}")
    if picture is not None:
        from offmap.guard.picture import picture as drawn

        drawn(loaded, taken[0], answers[0]).save(picture)
        typer.echo(f"{picture}: row {rows[0]}", err=json_)


def _discovered(rows: list[int], count: int, rate: float) -> str:
    shown = ", ".join(map(str, rows[:MOST])) + (", ..." if len(rows) > MOST else "")
    return (
        f"{len(rows)} of {count} rows are called strangers; of such calls at most "
        f"{100 * rate:g} % are wrong on average{': rows ' + shown if rows else ''}"
    )


def text(said: "Answer") -> str:
    """An answer in a line."""
    if said.accepted:
        return f"{said.label or said.prediction}; {said.detail}"
    return f"refused ({said.reason}): {said.detail}"
