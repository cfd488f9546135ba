"""`offmap plan`: what an audit would do, and what it would cost."""

from typing import TYPE_CHECKING

from offmap.cli import options

if TYPE_CHECKING:
    from rich.console import RenderableType

    from offmap.plan import Plan


def plan(
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
    max_cost: options.MaxCost = "retrain",
    measures: options.Measures = None,
    skip: options.Skip = None,
    set_: options.Set = [],  # noqa: B006
    memory: options.Memory = "4GiB",
    seed: options.Seed = 0,
    threads: options.Threads = None,
) -> None:
    """Say what an audit would do, what each measure would cost, and why the rest cannot run."""
    from rich.console import Console

    from offmap.audit import plan as make_plan
    from offmap.audit import requested

    asked = {
        "max_cost": max_cost, "only": options.names(measures), "skip": options.names(skip),
        "settings": options.settings(set_), "memory": memory, "seed": seed, "threads": threads,
    }  # fmt: skip
    requested(**asked)  # before the run is made, which may take long
    files = options.files(train, test, shift)
    with options.naming(files):
        run = options.make_run(
            run_file, demo, model=model, weights=weights, files=files,
            columns={"inputs": inputs, "targets": targets, "groups": groups}, task=task,
            feature_layer=feature_layer, allow_pickle=allow_pickle, parameters=parameter,
            memory=memory,
        )  # fmt: skip
        made = make_plan(run, **asked)
    console = Console()
    for part in tables(made):
        console.print(part)


def tables(plan: "Plan") -> "list[RenderableType]":
    """The plan for a terminal: what runs, what is shared, what does not run and why."""
    from rich.table import Table
    from rich.text import Text

    from offmap.report.words import duration, size

    runs = Table(title="Will run", title_justify="left", box=None, pad_edge=False)
    for name in ("measure", "on", "cost", "about", "peak memory"):
        runs.add_column(name, justify="right" if name in ("about", "peak memory") else "left")
    for work in plan.shared:
        label = work.work.partition(" on ")[0]
        runs.add_row(
            f"({label})", work.split, "shared", duration(work.seconds), size(work.peak_bytes)
        )
    for item in plan.runs:
        cells = (item.measure, item.split or "-", item.cost, duration(item.seconds))
        runs.add_row(*cells, size(item.peak_bytes))
    parts: list[RenderableType] = [runs]
    if plan.left_out:
        left_out = Table(title="\nWill not run", title_justify="left", box=None, pad_edge=False)
        for name in ("measure", "on", "because"):
            left_out.add_column(name)
        for item in plan.left_out:
            left_out.add_row(item.measure, item.split or "-", item.reason)
        parts.append(left_out)
    parts.append(Text(f"\n{len(plan.runs)} readings, about {duration(plan.seconds)} in all"))
    return parts
