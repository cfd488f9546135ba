"""`offmap audit`: take every reading, write the report, and hold it against the gates."""

import sys
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from offmap.cli import options
from offmap.cli.watching import Watching

if TYPE_CHECKING:
    from rich.console import Console

    from offmap.report.gates import GateResult
    from offmap.report.report import Report

GATE_FAILED, WRONG_INPUT, MEASURE_FAILED, INTERRUPTED = 1, 2, 3, 130


def audit(
    run_file: options.RunFile = None,
    demo: options.Demo = None,
    model: options.Model = None,
    weights: options.Weights = None,
    train: options.Train = None,
    test: options.Test = None,
    shift: options.Shift = [],  # noqa: B006 - typer copies it
    inputs: options.Inputs = None,
    targets: options.Targets = None,
    groups: options.Groups = None,
    task: options.TaskName = None,
    feature_layer: options.FeatureLayer = None,
    allow_pickle: options.AllowPickle = False,
    parameter: options.Parameter = [],  # noqa: B006
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("offmap-report"),
    max_cost: options.MaxCost = "retrain",
    measures: options.Measures = None,
    skip: options.Skip = None,
    set_: options.Set = [],  # noqa: B006
    memory: options.Memory = "4GiB",
    engine: Annotated[str, typer.Option(help="local, ray, or ray://host:port.")] = "local",
    seed: options.Seed = 0,
    threads: options.Threads = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget what an earlier audit in --out found.")
    ] = False,
    fail_on: Annotated[
        list[str],
        typer.Option(help='A gate such as "calibration_error > 0.05"; repeatable. Exit code 1.'),
    ] = [],  # noqa: B006
    baseline: Annotated[
        Path | None, typer.Option(help="An earlier report: getting worse beyond noise is a gate.")
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(help="Write gates and failures as JUnit XML.")
    ] = None,
    json_: Annotated[
        bool, typer.Option("--json", help="Write a summary as JSON on standard output.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress and no summary.")] = False,
) -> None:
    """Take every reading that the evidence allows, with a verdict per question and next steps.

    Exit codes: 0 done, 1 a gate failed, 2 the input or the usage is wrong, 3 done but a measure
    failed (the report is whole and says which).
    \f

    Raises:
        InputError: If something that was given cannot be used.
        Exit: With the exit code.
    """  # noqa: D301 - typer ends the help at the form feed
    from rich.console import Console

    from offmap.audit import audit as take
    from offmap.audit import requested
    from offmap.catalog import measures as all_measures
    from offmap.engine.store import Store
    from offmap.report.gates import parse
    from offmap.report.report import Report

    # All that can be wrong is looked at before the run is made, which may take long.
    gates = [parse(expression, all_measures()) for expression in fail_on]
    before = None if baseline is None else Report.load(baseline)
    asked = {
        "max_cost": max_cost, "only": options.names(measures), "skip": options.names(skip),
        "settings": options.settings(set_), "memory": memory, "seed": seed, "threads": threads,
        "engine": engine,
    }  # fmt: skip
    requested(**asked)
    files = options.files(train, test, shift)
    Store(out)

    console = Console(stderr=json_, quiet=quiet)
    watching = Watching(console)
    aside = redirect_stdout(sys.stderr) if json_ else nullcontext()  # what the user's code prints
    try:
        with options.naming(files), aside:
            run = options.make_run(
                run_file, demo, model=model, weights=weights, files=files,
                columns={"inputs": inputs, "targets": targets, "groups": groups}, task=task,
                feature_layer=feature_layer, allow_pickle=allow_pickle, parameters=parameter,
                memory=memory,
            )  # fmt: skip
            report = take(run, out=out, fresh=fresh, watcher=watching, **asked)
    except KeyboardInterrupt:
        sys.stderr.write(
            f"interrupted: what was finished is kept in {out}; "
            "the same command goes on from there\n"
        )
        raise typer.Exit(INTERRUPTED) from None
    finally:
        watching.stop()
    results = _judge(report, gates, before)
    _tell(console, report, results, out, json_=json_)
    if junit is not None:
        _write_junit(junit, report, results)
    if not all(result.passed for result in results):
        raise typer.Exit(GATE_FAILED)
    if report.failed:
        raise typer.Exit(MEASURE_FAILED)


def _judge(report: "Report", gates: list, before: "Report | None") -> "tuple[GateResult, ...]":
    from offmap.report.gates import baseline_gate, evaluate

    results = evaluate(gates, report)
    return results if before is None else (*results, baseline_gate(before, report))


def _write_junit(path: Path, report: "Report", results: "tuple[GateResult, ...]") -> None:
    from offmap.engine.store import writing
    from offmap.files import write_whole
    from offmap.report.junit import junit as as_junit

    with writing(path, "--junit"):
        write_whole(path, as_junit(report, results))


def _tell(
    console: "Console",
    report: "Report",
    results: "tuple[GateResult, ...]",
    out: Path,
    *,
    json_: bool,
) -> None:
    """The summary, for people and for machines."""
    from offmap.report.terminal import render, summary

    console.print(render(report, out / "report.html"))
    for result in results:
        console.print(result.sentence, markup=False, style=None if result.passed else "bold red")
    if json_:
        import json

        said = summary(report) | {
            "report": str(out / "report.html"),
            "gates": [
                {"expression": r.expression, "passed": r.passed, "sentence": r.sentence}
                for r in results
            ],
        }
        sys.stdout.write(json.dumps(said, indent=2) + "\n")
