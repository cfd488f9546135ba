"""Options that several commands take, and the run that they describe."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from offmap.attempt import Failure, InputError, attempt

if TYPE_CHECKING:
    from offmap.run import Split, TrainingRun

RunFile = Annotated[
    Path | None, typer.Argument(help="A Python file that defines run(...) -> TrainingRun.")
]
Demo = Annotated[str | None, typer.Option(help="A built-in run: digits.")]
Model = Annotated[
    str | None,
    typer.Option(help="package.module:factory, file.py:factory, or an exported program (.pt2)."),
]
Weights = Annotated[
    Path | None, typer.Option(help="safetensors, or a state dict of torch.save without pickles.")
]
Train = Annotated[
    Path | None, typer.Option(help="Training data: npz, npy, parquet, csv, or a folder of images.")
]
Test = Annotated[Path | None, typer.Option(help="Fresh data from the same source.")]
Shift = Annotated[list[str], typer.Option(help="NAME=PATH, data from elsewhere; repeatable.")]
Inputs = Annotated[str | None, typer.Option(help="Array or column that holds the inputs.")]
Targets = Annotated[str | None, typer.Option(help="Array or column that holds the targets.")]
Groups = Annotated[str | None, typer.Option(help="Array or column that holds groups.")]
TaskName = Annotated[
    str | None, typer.Option(help="classification, regression, reconstruction or tokens.")
]
FeatureLayer = Annotated[
    str | None, typer.Option(help="Layer whose input is the feature vector (named_modules()).")
]
AllowPickle = Annotated[
    bool,
    typer.Option("--allow-pickle", help="Load weights that need a pickle: it runs their code."),
]
Parameter = Annotated[
    list[str],
    typer.Option("-P", "--parameter", help="KEY=VALUE for the run file or factory; repeatable."),
]
MaxCost = Annotated[
    str, typer.Option(help="weights, forward, backward, many_passes or retrain: leave out more.")
]
Measures = Annotated[str | None, typer.Option(help="Only these measures, separated by commas.")]
Skip = Annotated[str | None, typer.Option(help="Not these measures, separated by commas.")]
Set = Annotated[list[str], typer.Option("--set", help="MEASURE.SETTING=VALUE; repeatable.")]
Memory = Annotated[str, typer.Option(help="Memory budget, such as 4GiB.")]
Seed = Annotated[int, typer.Option(help="Root of every random number.")]
Threads = Annotated[
    int | None, typer.Option(help="Threads that each task computes with [default: cores, up to 8].")
]


def make_run(
    run_file: Path | None,
    demo: str | None,
    *,
    model: str | None,
    weights: Path | None,
    data: dict[str, Path | None],
    shifts: list[str],
    columns: dict[str, str | None],
    task: str | None,
    feature_layer: str | None,
    allow_pickle: bool,
    parameters: list[str],
) -> "TrainingRun":
    """The run that the options describe: a demo, a run file, or a model with its data.

    Raises:
        InputError: If they describe none, more than one, or one that cannot be loaded.
    """
    said = [
        name
        for name, given in (("--demo", demo), ("a run file", run_file), ("--model", model))
        if given
    ]
    if len(said) != 1:
        raise InputError(
            "expected one of --demo digits, a run file, or --model with --train and --test; "
            f"got {' and '.join(said) or 'none of them'}"
        )
    given = pairs(parameters, "-P KEY=VALUE")
    if demo is not None:
        from offmap.demo import demo as built_in

        return built_in(demo)
    if run_file is not None:
        return load_run_file(run_file, given)
    assert model is not None
    from dataclasses import replace

    from offmap.models.loading import load_model
    from offmap.run import TrainingRun

    names = {
        "inputs": columns["inputs"],
        "targets": columns["targets"],
        "groups": columns["groups"],
    }

    def split(name: str, path: Path | None) -> "Split | None":
        from offmap.sources import load_split

        return None if path is None else load_split(path, name=name, task=task, **names)

    named_shifts = {
        name: split(name, Path(path)) for name, path in pairs(shifts, "--shift NAME=PATH").items()
    }
    run = TrainingRun(
        model=load_model(model, weights, parameters=given, allow_pickle=allow_pickle),
        train=split("train", data["train"]),
        test=split("test", data["test"]),
        shifts={name: value for name, value in named_shifts.items() if value is not None},
        feature_layer=feature_layer,
        name=model.rpartition(":")[2],
    )
    return run if task is None else replace(run, task=task)  # type: ignore[arg-type]


def load_run_file(path: Path, given: dict[str, str]) -> "TrainingRun":
    """What `run(...)` of a Python file returns.

    Raises:
        InputError: If the file is missing, fails, or does not define `run`; or if a parameter is
            unknown.
    """
    import importlib.util
    import inspect
    import sys

    from offmap.catalog import unknown
    from offmap.plan import like
    from offmap.run import TrainingRun

    if not path.is_file():
        raise InputError(f"expected a run file, got {path}, which does not exist")
    spec = importlib.util.spec_from_file_location(f"offmap_run_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InputError(f"expected a Python file, got {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(path.parent.resolve()))
    loader = spec.loader
    loaded = attempt(lambda: loader.exec_module(module))
    if isinstance(loaded, Failure):
        raise InputError(f"{path}: {loaded.summary}")
    function = getattr(module, "run", None)
    if not callable(function):
        raise InputError(f"{path}: expected a function run(...) -> TrainingRun, got none")
    signature = inspect.signature(function).parameters
    known = {name: parameter.default for name, parameter in signature.items()}
    for name in given:
        if name not in known:
            raise InputError(unknown(name, known, f"parameter of run in {path.name}"))
    missing = [
        n for n, default in known.items() if default is inspect.Parameter.empty and n not in given
    ]
    if missing:
        raise InputError(f"{path}: expected -P {missing[0]}=VALUE, which run(...) requires")
    values = {
        name: text if known[name] is inspect.Parameter.empty else like(known[name], text, name)
        for name, text in given.items()
    }
    run = attempt(lambda: function(**values))
    if isinstance(run, Failure):
        if isinstance(run.error, InputError):
            raise run.error
        raise InputError(f"{path}: run(...) raised {run.summary}")
    if not isinstance(run, TrainingRun):
        raise InputError(
            f"{path}: expected run(...) to return a TrainingRun, got {type(run).__name__}"
        )
    return run


def pairs(texts: list[str], form: str) -> dict[str, str]:
    """KEY=VALUE texts as a dict.

    Raises:
        InputError: If one has no `=`, or a key comes twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise InputError(f"expected {form}, got {text!r}")
        if key in found:
            raise InputError(f"expected {key} once, got it twice")
        found[key] = value
    return found


def settings(texts: list[str]) -> dict[str, dict[str, object]]:
    """MEASURE.SETTING=VALUE texts, by measure.

    Raises:
        InputError: If one has another form.
    """
    found: dict[str, dict[str, object]] = {}
    for name, value in pairs(texts, "--set MEASURE.SETTING=VALUE").items():
        measure, dot, setting = name.partition(".")
        if not dot:
            raise InputError(f"expected --set MEASURE.SETTING=VALUE, got {name}={value}")
        found.setdefault(measure, {})[setting] = value
    return found


def names(text: str | None) -> tuple[str, ...]:
    """Names separated by commas."""
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())
