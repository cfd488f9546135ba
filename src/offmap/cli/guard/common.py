"""What the commands of the guard share: their options, and the run and network behind them."""

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from offmap.attempt import InputError
from offmap.cli import options

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import Console

    from offmap.guard.guard import Guard
    from offmap.guard.progress import Stage, Watch
    from offmap.run import Split, TrainingRun

HELD_BACK = 0.5  # of the test split: what calibrates; the rest checks

GuardFile = Annotated[Path, typer.Argument(help="A guard, as `offmap guard fit` writes it.")]
Calibration = Annotated[
    Path | None,
    typer.Option(
        help="Fresh data for the thresholds, never used in training [default: half of test]."
    ),
]
NetworkOf = Annotated[
    Path | None, typer.Argument(help="A Python file that defines run(...): its network.")
]
Outlier = Annotated[
    list[str],
    typer.Option(help="NAME=PATH, strangers of your own to check against; repeatable."),
]
Score = Annotated[
    list[str],
    typer.Option("--score", help="A score; several make an ensemble. `offmap guard choose` helps."),
]
Set = Annotated[list[str], typer.Option("--set", help="SCORE.SETTING=VALUE; repeatable.")]


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A run, with the data that calibrate its guard, and those that check it."""

    run: "TrainingRun"
    train: "Split"
    calibration: "Split"
    check: "Split | None"
    outliers: "Mapping[str, Split]"


def prepared(
    run_file: Path | None,
    demo: str | None,
    *,
    model: str | None,
    weights: Path | None,
    train: Path | None,
    test: Path | None,
    calibration: Path | None,
    outliers: list[str],
    columns: dict[str, str | None],
    task: str | None,
    feature_layer: str | None,
    allow_pickle: bool,
    parameters: list[str],
    memory: str,
    seed: int,
) -> Prepared:
    """The run that the options describe, and its calibration data.

    Raises:
        InputError: If it cannot be made, or has no data to learn from or to calibrate on.
    """
    files = options.files(train, test, outliers)
    strangers = [name for name in files if name not in ("train", "test")]
    if calibration is not None:
        if run_file is not None or demo is not None:
            raise InputError(
                "expected no --calibration with a run file or --demo: half of its test split "
                "calibrates"
            )
        files["calibration"] = calibration
    with options.naming(files):
        run = options.make_run(
            run_file, demo, model=model, weights=weights, files=files, columns=columns,
            task=task, feature_layer=feature_layer, allow_pickle=allow_pickle,  # type: ignore[arg-type]
            parameters=parameters, memory=memory,
        )  # fmt: skip
    if run.train is None:
        raise InputError("expected a train split, which scores learn from, got none")
    others = {name: run.shifts[name] for name in strangers}
    if calibration is not None:
        return Prepared(run, run.train, run.shifts["calibration"], run.test, others)
    if run.test is None:
        raise InputError("expected --calibration or a test split to calibrate on, got neither")
    fresh, check = halves(run.test, seed)
    return Prepared(run, run.train, fresh, check, others)


@contextmanager
def progress(console: "Console") -> "Iterator[Watch]":
    """What shows how far long work has come: a bar with the time left, on a terminal alone."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from offmap.engine.progress import duration

    bars = Progress(
        TextColumn("{task.description:<24.24}"), BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total:.0f}"), TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
        console=console, transient=True, disable=not console.is_terminal,
    )  # fmt: skip

    def watch(stage: "Stage") -> None:
        left = f"{'more than ' if stage.open else ''}{duration(stage.seconds_left)} left"
        bars.update(
            bar, description=stage.what, completed=stage.done, total=stage.total,
            left=left if stage.seconds_left else "",
        )  # fmt: skip

    with bars:
        bar = bars.add_task("", total=1, left="")
        yield watch


def halves(split: "Split", seed: int) -> "tuple[Split, Split]":
    """A split in two, at random: what calibrates, and what checks."""
    import torch

    from offmap.seeds import derive

    order = torch.randperm(len(split), generator=derive(seed, "halves"))
    count = round(HELD_BACK * len(order))
    return split.take(order[:count].sort().values), split.take(order[count:].sort().values)


def load_guard(
    file: Path,
    run_file: Path | None,
    *,
    demo: str | None = None,
    model: str | None,
    weights: Path | None,
    allow_pickle: bool,
    parameters: list[str],
) -> "Guard":
    """The guard of a file, around the network that the options name.

    Raises:
        InputError: If either cannot be loaded, or they do not belong together.
    """
    from offmap.guard.guard import Guard

    network = options.make_network(
        run_file, demo, model=model, weights=weights, allow_pickle=allow_pickle,
        parameters=parameters,
    )  # fmt: skip
    return Guard.load(file, model=network)
