"""What bad input gets: one sentence that names the culprit, exit code 2, and nothing lost."""

import resource
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from pyarrow import parquet
from safetensors.torch import save_file

from offmap.engine.store import Store
from offmap.report.report import Report


@pytest.fixture
def refused(offmap, flags):
    """The sentence that an audit ends with, with some options changed."""

    def run(*more, **changed) -> str:
        return sentence(offmap(*flags(*more, **changed)))

    return run


def sentence(ran) -> str:
    assert ran.code == 2, ran
    assert ran.err.startswith("offmap: ")
    assert ran.err.count("\n") == 1
    assert "Traceback" not in ran.err + ran.out
    return ran.err.removeprefix("offmap: ").strip()


@pytest.fixture
def data(tmp_path, digits):
    """A file of test data, changed by a function of inputs and targets, or with other arrays."""

    def write(change=None, name="bad.npz", **arrays) -> Path:
        path = tmp_path / name
        x, y = (values[200:].copy() for values in digits)
        if change is not None:
            change(x, y)
        np.savez(path, **({"x": x, "y": y} | arrays))
        return path

    return write


# ------------------------------------------------------------------------------------- the data


def test_missing_file(refused, tmp_path):
    for split in ("train", "test"):
        path = tmp_path / "no.npz"
        assert (
            refused(**{split: path})
            == f"{path}: expected a file or a folder, got none of that name"
        )
    assert str(tmp_path / "w") in refused(weights=tmp_path / "w")
    assert str(tmp_path / "no.py") in refused(model=f"{tmp_path / 'no.py'}:build")


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_examples(refused, data, digits, n):
    images, classes = digits
    path = data(x=images[:n], y=classes[:n])
    said = refused(test=path)
    assert str(path) in said
    assert ("empty" in said or "got 0" in said or "got none" in said) if n == 0 else "got 1" in said


def test_lengths_differ(refused, data, digits):
    path = data(y=digits[1][:7])
    said = refused(test=path)
    assert said.startswith(f"test ({path}): expected as many targets as inputs")
    assert "got 7 targets for 100 inputs" in said


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_inputs_that_are_not_finite(refused, data, value):
    path = data(lambda x, y: x[41, 0].__setitem__((2, 3), value))
    said = refused("--shift", f"fog={path}")
    assert said == (
        f"fog ({path}): inputs: expected finite numbers, got {value} at row 41, element (0, 2, 3)"
    )


def test_targets_that_are_not_finite(refused, data):
    path = data(y=np.where(np.arange(100) == 9, np.nan, 1.0))
    said = refused(test=path)
    assert said == f"{path}, targets: expected finite numbers, got nan at row 9"


def test_targets_outside_the_classes_of_the_model(refused, data):
    path = data(lambda x, y: y.__setitem__(60, 10))
    assert refused(test=path) == (
        f"test ({path}): expected targets from 0 to 9 (the model has 10 outputs), got 10 at row 60"
    )
    path = data(lambda x, y: y.__setitem__(60, -1))
    said = refused(test=path)
    assert str(path) in said
    assert "got -1 at row 60" in said


def test_a_single_class(refused, data):
    path = data(lambda x, y: y.fill(4))
    said = refused(test=path)
    assert said == f"test ({path}): expected at least two classes, got only class 4"


def test_inputs_of_another_shape_order_or_range(refused, data, digits):
    images = digits[0][200:]
    path = data(x=images[..., :7])
    assert refused(test=path) == (
        f"test ({path}): expected inputs of shape (1, 8, 8), got (1, 8, 7): reshape them"
    )
    path = data(x=images.transpose(0, 2, 3, 1))
    assert refused(test=path) == (
        f"test ({path}): expected inputs of shape (1, 8, 8), got (8, 8, 1): "
        "the channels stand in another place: permute them"
    )
    path = data(x=255 * images)
    assert refused(test=path) == (
        f"test ({path}): expected inputs in [0.0, 1.0] (as read off the data), "
        "got 255 (limit 1): divide by 255"
    )
    path = data(x=images.astype(np.float64))
    said = refused(test=path)
    assert f"test ({path}): expected inputs of type torch.float32, got torch.float64" in said


def test_inputs_that_the_model_does_not_take(refused, data, digits):
    wide = np.concatenate([digits[0][200:]] * 2, axis=-1)
    path = data(x=wide)
    said = refused(train=path, test=path)
    assert said.startswith(
        f"train ({path}): expected a model that takes inputs of shape (n, 1, 8, 16)"
    )
    assert "mat1 and mat2 shapes" in said


@pytest.mark.parametrize("kind", ["npz", "parquet"])
def test_truncated_data(refused, data, digits, tmp_path, kind):
    path = data()
    if kind == "parquet":
        path = tmp_path / "bad.parquet"
        rows = digits[0][200:].reshape(100, -1)
        columns = {f"c{i}": rows[:, i] for i in range(64)} | {"label": digits[1][200:]}
        parquet.write_table(pa.table(columns), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    said = refused(test=path)
    assert said.startswith(f"{path} cannot be read: ")


def test_arrays_that_are_not_there(refused, place):
    said = refused(targets="truth")
    assert said == f"{place / 'train.npz'}: expected 'truth', got only 'x', 'y', 'groups'"


# ------------------------------------------------------------------------------------ the model


def test_weights_of_another_model(refused, tmp_path, place):
    from safetensors.torch import load_file

    weights, path = load_file(place / "w.safetensors"), tmp_path / "w.safetensors"
    last = weights.pop("5.bias")
    save_file(weights, path)
    assert refused(weights=path) == (
        f"{path}: expected the weights of the model, got others: it lacks 1 of 9 (5.bias)"
    )
    save_file(weights | {"5.bias": last, "6.bias": last.clone()}, path)
    assert "has 1 that the model has not (6.bias)" in refused(weights=path)
    save_file(weights | {"5.bias": last[:9].clone()}, path)
    assert "expected '5.bias' of shape (10,), got (9,)" in refused(weights=path)
    last[3] = torch.nan
    save_file(weights | {"5.bias": last}, path)
    assert refused(weights=path) == (
        f"{path}: expected finite weights, got 1 numbers that are not, of 10 in '5.bias'"
    )


class Bomb:
    """Unpickled, it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.write_text, (self.path, "boom")


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_pickles_are_not_read(refused, tmp_path, name):
    path, mark = tmp_path / name, tmp_path / "boom"
    torch.save({"5.bias": Bomb(mark)}, path)
    said = refused(weights=path)
    assert said.startswith(f"{path}: expected plain weights, got a pickle")
    assert "--allow-pickle" in said
    assert not mark.exists()


def test_numbers_in_the_wrong_place_of_the_output(refused, data, tmp_path, place):
    """A model that breaks on one black image: found on the way, what was read before is kept."""
    path = data(lambda x, y: x[77].fill(0))
    model = f"{place / 'nets.py'}:Logarithm"
    said = refused(
        test=path, model=model, weights=None, measures="overparameterization,calibration_error"
    )
    assert said.startswith(
        f"test ({path}): the model's output is not finite on 1 of the examples 0 to 99, "
        "the first at rows 77"
    )
    assert len(list((tmp_path / "out" / "entries").iterdir())) == 1
    assert not (tmp_path / "out" / "report.json").exists()


def test_models_that_cannot_be_used(refused, place):
    nets = place / "nets.py"

    def said(name, *more):
        return refused(*more, model=f"{nets}:{name}", weights=None)

    assert said("Pair").startswith("expected the model to return a tensor, got tuple: wrap it")
    assert said("InPlace").startswith("expected a model that leaves its input alone")
    assert said("broken", "-P", "width=7") == (
        f"the model of '{nets}:broken' cannot be built: RuntimeError: cannot build a width of 7"
    )
    assert said("bild").startswith(f"'{nets}:bild': expected 'bild' in {nets}")
    assert "unexpected keyword argument 'depth'" in said("build", "-P", "depth=3")
    assert "expected a layer of the model, got 'head'" in said("build", "--feature-layer", "head")


# ----------------------------------------------------------------------------------- run files


@pytest.mark.parametrize(
    ("text", "more", "says"),
    [
        (
            "def run():\n    x = 1\n    return x / 0\n",
            [],
            ", line 3: run(...) raised ZeroDivisionError",
        ),
        ("import nothing_like_it\n", [], ", line 1: it raised ModuleNotFoundError"),
        ("def run(:\n", [], "SyntaxError"),
        ("import sys\nsys.exit(0)\n", [], ": expected it to come to an end, got sys.exit(0)"),
        ("def main(): ...\n", [], ": expected a function run(...) -> TrainingRun, got none"),
        ("def run(): return 3\n", [], ": expected run(...) to return a TrainingRun, got int"),
        ("def run(data): ...\n", [], ": expected -P data=VALUE, which run(...) requires"),
        ("def run(): ...\n", ["-P", "a=1"], ": expected no -P, for run() takes none, got 'a'"),
    ],
)
def test_run_files_that_cannot_be_used(offmap, tmp_path, text, more, says):
    path = tmp_path / "bad_run.py"
    path.write_text(text)
    said = sentence(offmap("audit", path, *more, "--out", tmp_path / "out"))
    assert said.startswith(str(path))
    assert says in said


def test_parameters_that_do_not_fit(offmap, place, tmp_path):
    def said(parameter):
        out = ["--out", tmp_path / "out"]
        return sentence(offmap("audit", place / "run.py", "-P", parameter, *out))

    assert said("shrnk=1") == (
        "expected a parameter of run in run.py, got 'shrnk': did you mean shrink?"
    )
    assert said("shrink=a") == "-P shrink: expected a value like 1.0 (float), got 'a'"
    assert said("shrink") == "expected -P KEY=VALUE, got 'shrink'"
    missing = sentence(offmap("audit", tmp_path / "run.py", "--out", tmp_path / "out"))
    assert missing == f"{tmp_path / 'run.py'}: expected a run file, got none of that name"
    other = sentence(offmap("audit", place / "w.safetensors", "--out", tmp_path / "out"))
    assert "expected a run file that ends in .py" in other


# ------------------------------------------------------------------------------------ the words


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--measures", "calibration"], "got 'calibration': did you mean calibration_error"),
        (["--skip", "nearest"], "expected a measure, got 'nearest'"),
        (["--max-cost", "foward"], "expected a cost class, got 'foward': did you mean forward"),
        (["--memory", "4 elephants"], "expected a size such as 4GiB or 500MB, got '4 elephants'"),
        (["--memory", "1MiB"], "expected a memory budget of at least 64MiB, got 1,048,576 bytes"),
        (["--engine", "slurm"], "expected local, ray or ray://host:port, got 'slurm'"),
        (["--fail-on", "calibration_error"], "--fail-on: expected a gate such as"),
        (["--fail-on", "calibration_eror > 1"], "did you mean calibration_error"),
        (["--baseline", "/nowhere"], "a folder with one, got '/nowhere'"),
    ],
)  # fmt: skip
def test_words_are_checked_before_anything_runs(offmap, tmp_path, more, says):
    path = tmp_path / "slow.py"
    path.write_text("raise SystemExit('the run file was run')")
    out = tmp_path / "out"
    said = sentence(offmap("audit", path, "--out", out, *more))
    assert says in said
    assert not out.exists()


# ----------------------------------------------------------------------------------- the folder


@pytest.fixture
def small_disk():
    """No file may grow beyond some bytes: the system refuses to write on, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_full_disk_loses_nothing(offmap, flags, tmp_path, small_disk):
    options = flags(measures="overparameterization,calibration_error")
    out = tmp_path / "out"

    small_disk(4000)  # enough for a reading, not for the logits of 100 examples
    said = sentence(offmap(*options))
    assert said.startswith(f"{out}: expected to write there, got File too large")
    assert len(list((out / "entries").glob("*.safetensors"))) == 1

    small_disk(20_000)  # enough for every reading, not for the report
    said = sentence(offmap(*options))
    assert said.startswith(f"{out}: expected to write there, got File too large")
    assert not list(out.glob(".*.tmp"))

    small_disk(resource.RLIM_INFINITY)
    assert offmap(*options).code == 0
    assert Report.load(out).provenance.reused == 2
    assert not list(out.rglob("*.part"))


def test_folders_that_cannot_be_written(offmap, flags, place):
    for out in (place / "w.safetensors" / "out", Path("/proc/offmap")):
        said = sentence(offmap(*flags(out=out)))
        assert said.startswith(f"{out}: expected to write there, got No")
        assert said.endswith("give another --out; what was finished is kept")


def test_a_junit_file_that_cannot_be_written(offmap, flags, tmp_path):
    ran = offmap(*flags("--junit", "/proc/offmap.xml"))
    assert sentence(ran).startswith("/proc/offmap.xml: expected to write there")
    assert "Report: " in ran.out
    assert Report.load(tmp_path / "out").entries


def test_two_audits_in_one_folder(offmap, flags, tmp_path):
    out = tmp_path / "out"
    with Store(out).locked():
        said = sentence(offmap(*flags()))
    assert said == f"another run is at work in {out}: wait for it, or give another --out"
    assert offmap(*flags()).code == 0
