"""Options that several commands take, and the run that they describe."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from offmap.attempt import Failure, InputError, attempt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from offmap.run import Split, Task, TrainingRun

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
    Literal["classification", "regression", "reconstruction", "tokens"] | None,
    typer.Option(help="What the model does, where the targets do not tell."),
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
    task: "Task | None",
    feature_layer: str | None,
    allow_pickle: bool,
    parameters: list[str],
    memory: str,
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
    loaded = load_data(data, shifts, columns=columns, task=task, memory=memory)
    return run_of(
        loaded, model, weights, task=task, feature_layer=feature_layer,
        allow_pickle=allow_pickle, parameters=given,
    )  # fmt: skip


def load_data(
    data: "Mapping[str, Path | None]",
    shifts: list[str],
    *,
    columns: "Mapping[str, str | None]",
    task: "Task | None",
    memory: str,
) -> "dict[str, Split]":
    """Every split that was named, with classes numbered as in the first of them.

    Raises:
        InputError: If one cannot be loaded.
    """
    from offmap.audit import parse_bytes
    from offmap.sources import load_split

    paths = {name: path for name, path in data.items() if path is not None}
    for name, path in pairs(shifts, "--shift NAME=PATH").items():
        if name in ("train", "test"):
            raise InputError(f"expected another name for the shift {name!r}: it is reserved")
        paths[name] = Path(path)
    loaded: dict[str, Split] = {}
    names = None
    for name, path in paths.items():
        loaded[name] = load_split(
            path, name=name, task=task, class_names=names, memory=parse_bytes(memory),
            inputs=columns["inputs"], targets=columns["targets"], groups=columns["groups"],
        )  # fmt: skip
        names = names or loaded[name].class_names
    return loaded


def run_of(
    loaded: "dict[str, Split]",
    model: str,
    weights: Path | None,
    *,
    task: "Task | None",
    feature_layer: str | None,
    allow_pickle: bool,
    parameters: dict[str, str],
) -> "TrainingRun":
    """The run of a model given by its factory and weights, or as an exported program."""
    from offmap.models.exported import load_exported
    from offmap.models.loading import load_model
    from offmap.run import TrainingRun

    if Path(model).is_file():
        network = load_exported(model, allow_pickle=allow_pickle)
    else:
        values = {name: literal(text) for name, text in parameters.items()}
        network = load_model(model, weights, parameters=values, allow_pickle=allow_pickle)
    train, test = loaded.pop("train", None), loaded.pop("test", None)
    return TrainingRun(
        network, train, test, loaded, task=task, feature_layer=feature_layer,
        name=Path(model).stem if Path(model).is_file() else model.rpartition(":")[2],
    )  # fmt: skip


def literal(text: str) -> object:
    """A value as Python writes it, or the text itself."""
    import ast

    value = attempt(lambda: ast.literal_eval(text))
    return text if isinstance(value, Failure) else value


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
