"""`offmap guard choose`: which score suits this network and data, before any stranger is seen."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from offmap.cli import options
from offmap.cli.guard import common

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.table import Table

    from offmap.guard.choice import Choice


def choose(
    run_file: options.RunFile = None,
    demo: options.Demo = None,
    model: options.Model = None,
    weights: options.Weights = None,
    train: options.Train = None,
    test: options.Test = None,
    calibration: common.Calibration = None,
    outlier: common.Outlier = [],  # noqa: B006 - typer copies it
    inputs: options.Inputs = None,
    targets: options.Targets = None,
    task: options.TaskName = None,
    feature_layer: options.FeatureLayer = None,
    allow_pickle: options.AllowPickle = False,
    parameter: options.Parameter = [],  # noqa: B006
    out: Annotated[
        Path | None, typer.Option(help="Write the choice as JSON, for `guard fit --choice`.")
    ] = None,
    score: Annotated[
        list[str], typer.Option("--score", help="Only these scores; repeatable.")
    ] = [],  # noqa: B006
    retrain: Annotated[
        bool, typer.Option(help="Train networks without some classes, where there is a recipe.")
    ] = True,
    work: Annotated[
        Path | None,
        typer.Option(help="Keep retrained networks here: a choice that was stopped goes on."),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Show every score on every family, not only the best.")
    ] = False,
    rows: Annotated[int, typer.Option(min=50, help="Strangers of each family, at most.")] = 1000,
    set_: common.Set = [],  # noqa: B006
    memory: options.Memory = "4GiB",
    seed: options.Seed = 0,
) -> None:
    """Try every score on strangers made of your own data, and say which to take and why."""
    from rich.console import Console

    from offmap.audit import parse_bytes
    from offmap.files import write_whole
    from offmap.guard.choose import choose as pick

    ready = common.prepared(
        run_file, demo, model=model, weights=weights, train=train, test=test,
        calibration=calibration, outliers=outlier,
        columns={"inputs": inputs, "targets": targets, "groups": None}, task=task,
        feature_layer=feature_layer, allow_pickle=allow_pickle, parameters=parameter,
        memory=memory, seed=seed,
    )  # fmt: skip
    run = ready.run
    console = Console()
    with common.progress(console) as watch:
        found = pick(
            run.model, ready.train, ready.calibration, outliers=ready.outliers,
            scores=score or None, recipe=run.recipe if retrain else None, rows=rows,
            settings=options.settings(set_, "SCORE"), domain=run.domain,
            feature_layer=run.feature_layer, seed=seed, memory=parse_bytes(memory), work=work,
            watch=watch,
        )  # fmt: skip
    console.print(table(found))
    shown = [one.name for one in found.candidates if full or one.scores == found.best]
    for each in families(found, shown):
        console.print(each)
    for name, reason in found.refused.items():
        console.print(f"{name}: {reason}", markup=False)
    for note in found.notes:
        console.print(note, markup=False)
    console.print(f"Take {' + '.join(found.best)}. {found.why}", markup=False)
    if out is not None:
        write_whole(out, found.to_json().encode())
        console.print(f"{out}: pass it to offmap guard fit --choice", markup=False)


def families(found: "Choice", names: "Sequence[str]") -> "Iterator[Table]":
    """For each of some candidates every family of strangers, with intervals."""
    from rich.table import Table

    for one in (one for one in found.candidates if one.name in names):
        made = Table(box=None, pad_edge=False, title=one.name)
        made.add_column("strangers")
        made.add_column("")
        for name in ("AUROC", "AUPR", "FPR at 95 %"):
            made.add_column(name, justify="right")
        for name, cell in one.cells.items():
            made.add_row(
                name, found.families[name].distance,
                f"{cell.auroc:.3f}", f"{cell.aupr:.3f}", f"{cell.fpr95:.1%}",
            )  # fmt: skip
        yield made


def table(found: "Choice") -> "Table":
    """Every candidate, best first: what it is worth and what it costs."""
    from rich.table import Table

    own = [name for name, family in found.families.items() if family.group == "outliers"]
    made = Table(box=None, pad_edge=False, title="AUROC against strangers made of the data")
    made.add_column("score")
    for name in ("merit", "near", "far", *own, "time", "kept"):
        made.add_column(name, justify="right")
    for one in found.candidates:
        made.add_row(
            one.name, f"{one.merit:.3f}",
            *("-" if mean is None else f"{mean:.3f}" for mean in (one.near, one.far)),
            *(f"{one.cells[name].auroc:.3f}" for name in own),
            f"+{100 * one.overhead:.0f} %", f"{one.state_bytes / 2**20:.1f} MiB",
        )  # fmt: skip
    return made
