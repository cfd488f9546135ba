"""`offmap guard attack`: what the guard is worth against somebody who knows it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from offmap.attempt import InputError
from offmap.cli import options
from offmap.cli.guard import common

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.table import Table

    from offmap.estimate import Estimate


def attack(
    guard: common.GuardFile,
    run_file: common.NetworkOf = None,
    demo: options.Demo = None,
    model: options.Model = None,
    weights: options.Weights = None,
    test: options.Test = None,
    inputs: options.Inputs = None,
    targets: options.Targets = None,
    allow_pickle: options.AllowPickle = False,
    parameter: options.Parameter = [],  # noqa: B006 - typer copies it
    radius: Annotated[float, typer.Option(help="Of the ball, in the unit of the inputs.")] = 0.1,
    norm: Annotated[Literal["linf", "l2"], typer.Option(help="Of the ball.")] = "linf",
    steps: Annotated[int, typer.Option(min=1, help="Of each descent.")] = 100,
    restarts: Annotated[int, typer.Option(min=1, help="Descents of each attacker.")] = 5,
    strangers: Annotated[
        Path | None,
        typer.Option(help="Inputs off the map: count those that can be made to pass, instead."),
    ] = None,
    examples: Annotated[int, typer.Option(min=1, help="Inputs that are attacked.")] = 200,
    memory: options.Memory = "4GiB",
    seed: options.Seed = 0,
) -> None:
    """Attack a guarded network twice: without knowing the guard, and knowing it.

    What cannot be used is one sentence, and exit code 2.
    \f

    Raises:
        InputError: If there is no test data, or something cannot be loaded.
    """  # noqa: D301 - typer ends the help at the form feed
    from rich.console import Console

    from offmap.guard.attack import attack as attacked
    from offmap.guard.attack import infiltrate
    from offmap.guard.guard import Guard
    from offmap.seeds import derive

    files: dict[str, Path] = {} if test is None else {"test": test}
    with options.naming(files):
        run = options.make_run(
            run_file, demo, model=model, weights=weights, files=files,
            columns={"inputs": inputs, "targets": targets, "groups": None}, task=None,
            feature_layer=None, allow_pickle=allow_pickle, parameters=parameter, memory=memory,
        )  # fmt: skip
    if run.test is None:
        raise InputError("expected a test split to attack, got none: give --test")
    loaded = Guard.load(guard, model=run.model)
    console = Console()
    limits = {
        "radius": radius, "norm": norm, "steps": steps, "restarts": restarts,
        "examples": examples, "generator": derive(seed, "attack"),
    }  # fmt: skip
    if strangers is not None:
        from offmap.sources import load_split

        others = load_split(strangers, name="strangers", inputs=inputs)
        with console.status(f"moving {min(examples, len(others)):,} strangers"):
            entered = infiltrate(loaded, others, familiar=run.test, **limits)
        console.print(
            _shares(norm, radius, {
                "accepted as they are": entered.untouched,
                "accepted, attacker knows the guard": entered.adaptive,
            })
        )  # fmt: skip
        return
    with console.status(f"attacking {min(examples, len(run.test)):,} inputs"):
        found = attacked(loaded, run.test, **limits)
    shares = {
        "wrong and accepted, nobody attacking": found.untouched,
        "refused, nobody attacking": found.false_alarms,
        "wrong under attack, without a guard": found.bare,
        "wrong and accepted, attacker does not know the guard": found.oblivious,
        "wrong and accepted, attacker knows the guard": found.adaptive,
    }
    console.print(_shares(norm, radius, shares))
    for note in found.notes:
        console.print(note, markup=False)
    console.print(
        "The guarantee is about inputs like those of calibration; an attacker's are not.",
        markup=False,
    )


def _shares(norm: str, radius: float, shares: "Mapping[str, Estimate]") -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False, title=f"{norm} ball of radius {radius:g}")
    table.add_column("share of inputs")
    table.add_column("", justify="right")
    for name, share in shares.items():
        table.add_row(name, f"{share:.1%}")
    return table
