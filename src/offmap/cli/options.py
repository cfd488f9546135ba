"""Options that several commands take, and the run that they describe."""

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer

from offmap.attempt import Failure, InputError, attempt

if TYPE_CHECKING:
    import inspect
    from collections.abc import Callable, Iterator, Mapping

    from torch import nn

    from offmap.run import Split, Task, TrainingRun

T = TypeVar("T")

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
    int | None,
    typer.Option(min=1, help="Threads that each task computes with [default: cores, up to 8]."),
]


def files(train: Path | None, test: Path | None, shifts: list[str]) -> dict[str, Path]:
    """The file of each split that was named.

    Raises:
        InputError: If a shift has no name or no file, or a name that is reserved.
    """
    ends = {"train": train, "test": test}
    found = {name: path for name, path in ends.items() if path is not None}
    for name, path in pairs(shifts, "--shift NAME=PATH").items():
        if name in ("train", "test"):
            raise InputError(f"expected another name for the shift {name!r}: it is reserved")
        if not path:
            raise InputError(f"expected --shift NAME=PATH, got no path for {name!r}")
        found[name] = Path(path)
    return found


@contextmanager
def naming(files: "Mapping[str, Path]") -> "Iterator[None]":
    """In this block a complaint about a split says which file the split is from.

    Raises:
        InputError: As raised in the block.
    """
    try:
        yield
    except InputError as error:
        split, colon, rest = str(error).partition(": ")
        if not colon or split not in files:
            raise
        raise InputError(f"{split} ({files[split]}): {rest}") from error


def make_run(
    run_file: Path | None,
    demo: str | None,
    *,
    model: str | None,
    weights: Path | None,
    files: "Mapping[str, Path]",
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
        if given is not None
    ]
    if len(said) != 1:
        raise InputError(
            "expected one of --demo digits, a run file, or --model with --train and --test; "
            f"got {' and '.join(said) or 'none of them'}"
        )
    given = pairs(parameters, "-P KEY=VALUE")
    of_model = {
        "--weights": weights, **{_option(name): path for name, path in files.items()},
        **{f"--{name}": column for name, column in columns.items()}, "--task": task,
        "--feature-layer": feature_layer, "--allow-pickle": allow_pickle or None,
    }  # fmt: skip
    if demo is not None:
        from offmap.demo import demo as built_in

        _refuse(of_model | {"-P": given or None}, "--demo, which brings its own model and data")
        return built_in(demo)
    if run_file is not None:
        _refuse(of_model, "a run file, which brings its own model and data (-P reaches it)")
        return load_run_file(run_file, given)
    assert model is not None
    if Path(model).is_file():
        program = {"--weights": weights, "-P": given or None}
        _refuse(program, f"{model}, an exported program, which is whole")
    loaded = load_data(files, columns=columns, task=task, memory=memory)
    return run_of(
        loaded, model, weights, task=task, feature_layer=feature_layer,
        allow_pickle=allow_pickle, parameters=given,
    )  # fmt: skip


def _option(split: str) -> str:
    return f"--{split}" if split in ("train", "test") else "--shift"


def _refuse(options: "Mapping[str, object]", place: str) -> None:
    """Refuse options that would be ignored.

    Raises:
        InputError: If one was given.
    """
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise InputError(f"expected no {given[0]} with {place}: leave it out")


def load_data(
    files: "Mapping[str, Path]",
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

    loaded: dict[str, Split] = {}
    names = None
    for name, path in files.items():
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
    from offmap.run import TrainingRun

    network = _network(model, weights, allow_pickle=allow_pickle, parameters=parameters)
    train, test = loaded.pop("train", None), loaded.pop("test", None)
    return TrainingRun(
        network, train, test, loaded, task=task, feature_layer=feature_layer,
        name=Path(model).stem if Path(model).is_file() else model.rpartition(":")[2],
    )  # fmt: skip


def _network(
    model: str, weights: Path | None, *, allow_pickle: bool, parameters: dict[str, str]
) -> "nn.Module":
    """A model given by its factory and weights, or as an exported program."""
    from offmap.models.exported import load_exported
    from offmap.models.loading import load_model

    if Path(model).is_file():
        return load_exported(model, allow_pickle=allow_pickle)
    values = {name: literal(text) for name, text in parameters.items()}
    return load_model(model, weights, parameters=values, allow_pickle=allow_pickle)


def make_network(
    run_file: Path | None,
    demo: str | None,
    *,
    model: str | None,
    weights: Path | None,
    allow_pickle: bool,
    parameters: list[str],
) -> "nn.Module":
    """The network alone that the options describe: a model, or that of a run file or demo.

    Raises:
        InputError: If they describe none, more than one, or one that cannot be loaded.
    """
    if model is not None and run_file is None and demo is None:
        given = pairs(parameters, "-P KEY=VALUE")
        return _network(model, weights, allow_pickle=allow_pickle, parameters=given)
    return make_run(
        run_file, demo, model=model, weights=weights, files={}, columns={}, task=None,
        feature_layer=None, allow_pickle=allow_pickle, parameters=parameters, memory="4GiB",
    ).model  # fmt: skip


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
    import sys

    from offmap.run import TrainingRun

    if not path.is_file():
        raise InputError(f"{path}: expected a run file, got none of that name")
    if path.suffix != ".py":
        raise InputError(f"{path}: expected a run file that ends in .py (a model needs --model)")
    spec = importlib.util.spec_from_file_location(f"offmap_run_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(path.parent.resolve()))
    loader = spec.loader
    _of_user(lambda: loader.exec_module(module), path, "it")
    function = getattr(module, "run", None)
    if not callable(function):
        raise InputError(f"{path}: expected a function run(...) -> TrainingRun, got none")
    values = arguments(function, given, path)
    run = _of_user(lambda: function(**values), path, "run(...)")
    if not isinstance(run, TrainingRun):
        raise InputError(
            f"{path}: expected run(...) to return a TrainingRun, got {type(run).__name__}"
        )
    return run


def _of_user(call: "Callable[[], T]", path: Path, what: str) -> "T":
    """What code in the user's file returns.

    Raises:
        InputError: If it raises anything, or leaves the program; with the line where it did.
    """
    try:
        result = attempt(call)
    except SystemExit as end:
        raise InputError(
            f"{path}: expected {what} to come to an end, got sys.exit({end.code!r})"
        ) from end
    if not isinstance(result, Failure):
        return result
    if isinstance(result.error, InputError):
        raise result.error
    line = _line(result.error, path)
    where = f", line {line}" if line else ""
    raise InputError(f"{path}{where}: {what} raised {result.summary}") from result.error


def _line(error: Exception, path: Path) -> int | None:
    """The last line of the file that the error went through."""
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    lines = [f.lineno for f in frames if Path(f.filename).resolve() == path.resolve()]
    return lines[-1] if lines else None


def arguments(
    function: "Callable[..., object]", given: "Mapping[str, str]", path: Path
) -> dict[str, object]:
    """What `run` of a run file is called with: each text as the kind of thing it asks for.

    Raises:
        InputError: If a parameter is unknown or missing, or a value does not fit.
    """
    import inspect

    from offmap.catalog import unknown

    known = inspect.signature(function).parameters
    for name in given:
        if name not in known:
            if not known:
                raise InputError(f"{path}: expected no -P, for run() takes none, got {name!r}")
            raise InputError(unknown(name, known, f"parameter of run in {path.name}"))
    for name, parameter in known.items():
        if parameter.default is inspect.Parameter.empty and name not in given:
            raise InputError(f"{path}: expected -P {name}=VALUE, which run(...) requires")
    return {name: _argument(known[name], text) for name, text in given.items()}


def _argument(parameter: "inspect.Parameter", text: str) -> object:
    """A value as the default or the annotation of a parameter wants it."""
    from offmap.measure import like

    default = parameter.default
    if isinstance(default, str) or parameter.annotation in (str, str | None):
        return text
    if isinstance(default, Path) or parameter.annotation in (Path, Path | None):
        return Path(text)
    if default is None or default is parameter.empty:
        return literal(text)
    return like(default, text, f"-P {parameter.name}")


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


def settings(texts: list[str], unit: str = "MEASURE") -> dict[str, dict[str, object]]:
    """MEASURE.SETTING=VALUE texts, by measure (or by another unit).

    Raises:
        InputError: If one has another form.
    """
    found: dict[str, dict[str, object]] = {}
    for name, value in pairs(texts, f"--set {unit}.SETTING=VALUE").items():
        measure, dot, setting = name.partition(".")
        if not dot:
            raise InputError(f"expected --set {unit}.SETTING=VALUE, got {name}={value}")
        found.setdefault(measure, {})[setting] = value
    return found


def names(text: str | None) -> tuple[str, ...]:
    """Names separated by commas."""
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())
