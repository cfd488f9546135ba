"""The laws that every measure obeys. Each is a function that says what is wrong, in sentences."""

import inspect
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from offmap.attempt import Failure, attempt
from offmap.codec import decode, encode
from offmap.figures import Bars, Curve, Figure, Gallery, Histogram, Matrix, Scatter
from offmap.inputs import home
from offmap.measure import Cost, Measure
from offmap.plan import PREDICTIONS, splits_of
from offmap.reading import Entry, Failed, Reading, Skipped
from offmap.run import TrainingRun
from offmap.testing.watching import Tally

FORWARDS = 2  # of each example that a reading names, where forward passes are declared
BACKWARDS = 4  # passes of either kind, where backward passes are declared
SLACK = 16  # examples that a reading may look at besides, to learn shapes


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """A measure that was read twice on a run.

    Args:
        measure: Which.
        run: What it was read on.
        entries: What came of it.
        again: The same, from the same seed but other global random states.
        tally: What it made the network do, the first time.
        changed: What it did not leave as it found it.
    """

    measure: Measure
    run: TrainingRun
    entries: tuple[Entry, ...]
    again: tuple[Entry, ...]
    tally: Tally
    changed: tuple[str, ...]

    @property
    def readings(self) -> Iterator[tuple[str, Reading]]:
        """Where it was read, and the reading."""
        for entry in self.entries:
            if entry.reading is not None:
                yield entry.split, entry.reading


def has_outcome(trial: Trial) -> Iterator[str]:
    """A measure reads, or says why it cannot; it raises nothing else."""
    for entry in trial.entries:
        if isinstance(entry.outcome, Failed):
            yield f"{entry.split}: expected a reading or a reason, got\n{entry.outcome.traceback}"
        if isinstance(entry.outcome, Skipped) and not entry.outcome.reason.strip():
            yield f"{entry.split}: expected a reason for the skip, got none"


def keeps_to_its_task(trial: Trial) -> Iterator[str]:
    """A measure of another kind of predictions is skipped."""
    tasks, kind = trial.measure.tasks, PREDICTIONS[trial.run.task or "classification"]
    if tasks is not None and kind not in tasks:
        for split, _ in trial.readings:
            yield f"{split}: expected a skip, for it does not read {kind.__name__}"


def stays_in_span(trial: Trial) -> Iterator[str]:
    """The value lies in its interval, and both where the measure says that values lie."""
    low, high = trial.measure.span
    for split, reading in trial.readings:
        for what, found in (("value", reading.estimate), ("null", reading.null)):
            if found is None:
                continue
            if not -math.inf < found.low <= found.value <= found.high < math.inf:
                yield f"{split}: expected the {what} inside its finite interval, got {found}"
            bounded = math.isfinite(low) and math.isfinite(high)
            outermost = (found.low, found.high) if bounded else (found.value, found.value)
            if not low <= outermost[0] <= outermost[1] <= high:
                yield f"{split}: expected the {what} in [{low}, {high}], got {found}"


def repeats_itself(trial: Trial) -> Iterator[str]:
    """The same seed gives the same reading, to the last bit."""
    for one, other in zip(trial.entries, trial.again, strict=True):
        if _bits(one) != _bits(other):
            yield (
                f"{one.split}: expected the same reading from the same seed, got another: take "
                "every random number from `generator`"
            )


def leaves_no_trace(trial: Trial) -> Iterator[str]:
    """The model, the data and every global state are as they were."""
    for what in trial.changed:
        yield f"expected {what} to be left alone, got it changed"


def answers_each_example(trial: Trial) -> Iterator[str]:
    """`per_example` has one number for each row of the split (of train, where there is none)."""
    for split, reading in trial.readings:
        rows = reading.per_example
        if rows is None:
            continue
        n = len(trial.run.splits.get(split or "train", ()))
        if tuple(rows.shape) != (n,):
            yield f"{split}: expected per_example of shape ({n},), got {tuple(rows.shape)}"
        if not rows.is_floating_point() or bool(rows.isinf().any()):
            yield f"{split}: expected finite numbers or NaN in per_example"


def costs_what_it_says(trial: Trial) -> Iterator[str]:
    """Passes and trainings are no more than the cost class allows, and the class is no boast."""
    cost, tally = trial.measure.cost, trial.tally
    named = sum(_examples_named(trial, entry.split) + SLACK for entry in trial.entries)
    forward = {Cost.WEIGHTS: 0, Cost.FORWARD: FORWARDS, Cost.BACKWARD: BACKWARDS}
    backward = {Cost.WEIGHTS: 0, Cost.FORWARD: 0, Cost.BACKWARD: BACKWARDS}
    for way, count, most in (
        ("forward", tally.forward, forward.get(cost, math.inf)),
        ("backward", tally.backward, backward.get(cost, math.inf)),
    ):
        if count > most * named:
            yield (
                f"expected a measure of cost {cost.label} to pass each of {named} examples {way} "
                f"at most {most} times, got {count:g} passes of an example"
            )
    if cost < Cost.RETRAIN and tally.built:
        yield f"expected a measure of cost {cost.label} to build no networks, got {tally.built}"
    if not any(True for _ in trial.readings):
        return
    idle = {
        Cost.BACKWARD: tally.backward == 0,
        Cost.MANY_PASSES: tally.forward == 0,
        Cost.RETRAIN: tally.built == 0,
    }
    if idle.get(cost, False):
        yield f"expected a measure of cost {cost.label} to need it, got one that does not"


def _examples_named(trial: Trial, split: str) -> int:
    """Examples of the splits that a reading names, each split once."""
    names: set[str] = {split} - {""}
    for word in trial.measure.needs:
        names.update(splits_of(trial.run, word, split))
        names.update({word} & {"train", "test"})
        names.update(trial.run.shifts if word == "shifts" else ())
    return sum(len(part) for name, part in trial.run.splits.items() if name in names)


def draws_well(trial: Trial) -> Iterator[str]:
    """Figures have something to show, and their columns fit each other."""
    for split, reading in trial.readings:
        for figure in reading.figures:
            for complaint in _figure(figure, trial.run):
                yield f"{split}: figure {figure.title!r}: {complaint}"


def _figure(figure: Figure, run: TrainingRun) -> Iterator[str]:
    if isinstance(figure, Curve):
        columns = {**figure.series, **{f"{k} (low)": v for k, v in figure.low.items()}}
        columns |= {f"{k} (high)": v for k, v in figure.high.items()}
        yield from _columns(figure.x, columns)
        for name in {*figure.low, *figure.high} - set(figure.series):
            yield f"expected a band around a series, got one around {name!r}"
        if figure.log_x and bool((figure.x <= 0).any()):
            yield "expected positive x on a logarithmic axis"
    elif isinstance(figure, Scatter):
        yield from _columns(figure.x, {"y": figure.y})
        if figure.label and len(figure.label) != len(figure.x):
            yield f"expected {len(figure.x)} labels, got {len(figure.label)}"
    elif isinstance(figure, Histogram):
        if len(figure.edges) < 2 or not bool((figure.edges.diff() > 0).all()):
            yield f"expected at least two ascending edges, got {figure.edges.tolist()}"
        yield from _columns(figure.edges[1:], figure.counts)
    elif isinstance(figure, Bars):
        if not figure.values:
            yield "expected at least one bar, got none"
    elif isinstance(figure, Matrix):
        shape = (len(figure.rows), len(figure.columns))
        if tuple(figure.values.shape) != shape or not figure.values.numel():
            yield f"expected values of shape {shape}, got {tuple(figure.values.shape)}"
    else:
        yield from _gallery(figure, run)


def _columns(x: Tensor, columns: Mapping[str, Tensor]) -> Iterator[str]:
    if x.ndim != 1 or not len(x) or not bool(x.isfinite().all()):
        yield f"expected at least one finite point [m] on the axis, got shape {tuple(x.shape)}"
    if not columns:
        yield "expected at least one series, got none"
    for name, values in columns.items():
        if values.shape != x.shape:
            yield f"expected {len(x)} points in {name!r}, got shape {tuple(values.shape)}"
        elif bool(values.isinf().any()) or bool(values.isnan().all()):
            yield f"expected finite numbers (or some NaN) in {name!r}"


def _gallery(figure: Gallery, run: TrainingRun) -> Iterator[str]:
    shape = (len(figure.captions), len(figure.columns))
    if tuple(figure.rows.shape) != shape or not figure.rows.numel():
        yield f"expected rows of shape {shape}, got {tuple(figure.rows.shape)}"
        return
    for name, rows in zip(figure.columns, figure.rows.T, strict=True):
        if name not in run.splits:
            yield f"expected columns that are splits ({', '.join(run.splits)}), got {name!r}"
        elif int(rows.min()) < 0 or int(rows.max()) >= len(run.splits[name]):
            yield f"expected rows of {name} below {len(run.splits[name])}, got {rows.tolist()}"


def survives_the_report(trial: Trial) -> Iterator[str]:
    """What is written is read back, through plain JSON."""
    for entry in trial.entries:
        text = json.dumps(encode(entry), allow_nan=False)
        back = attempt(lambda text=text: json.dumps(encode(decode(json.loads(text)))))
        if back != text:
            said = back.summary if isinstance(back, Failure) else "another"
            yield f"{entry.split}: expected the same entry back from JSON, got {said}"


LAWS: tuple[Callable[[Trial], Iterator[str]], ...] = (
    has_outcome,
    keeps_to_its_task,
    stays_in_span,
    repeats_itself,
    leaves_no_trace,
    answers_each_example,
    costs_what_it_says,
    draws_well,
    survives_the_report,
)


def explains_itself(measure: Measure) -> Iterator[str]:
    """The card is complete: a reader who knows nothing else can use the number."""
    if measure.function.__module__.rpartition(".")[2] != measure.name:
        yield f"expected it in a file called {measure.name}.py, or nobody finds it"
    if not measure.asks.endswith("?"):
        yield f"expected `asks` to be a question, got {measure.asks!r}"
    if not re.search(r"\d", measure.read):
        yield f"expected `read` to explain a value with numbers, got {measure.read!r}"
    for name in ("unit", "caution", "next_step", "summary"):
        if not getattr(measure, name).strip():
            yield f"expected {name!r} to say something, got nothing"
    if not re.match(r"https://\S+\.\S+$", measure.paper.url) or not measure.paper.citation.strip():
        yield f"expected a citation and an https address, got {measure.paper}"
    if not measure.span[0] < measure.span[1]:
        yield f"expected a span from low to high, got {measure.span}"
    said = documented(measure.function) | (documented(measure.inner) if measure.inner else set())
    for name in set(measure.settings) - said:
        yield f"expected setting {name!r} under Args in the docstring"


def documented(function: Callable[..., object]) -> set[str]:
    """Names under `Args:` of a docstring."""
    _, _, rest = (inspect.getdoc(function) or "").partition("\nArgs:\n")
    section = re.split(r"\n(?=\S)", rest)[0]
    return set(re.findall(r"^ {4}(\w+)(?: \(.*?\))?:", section, flags=re.MULTILINE))


def requires(measure: Measure, evidence: str) -> bool:
    """Whether it cannot be read without this: a split, `groups`, `targets`, `recipe`, ..."""
    for word in measure.needs:
        prefix, base = home(word)
        near = base in ("neighbors", "feature_neighbors") and evidence == "train"
        answers = base == "predictions" and prefix != "train" and evidence == "targets"
        if evidence in (word, prefix, base) or near or answers:
            return True
    return evidence == "shifts" and measure.reads_splits == "shifts"


def _bits(entry: Entry) -> tuple[object, ...]:
    reading = entry.reading
    rows = None if reading is None else reading.per_example
    column = None if rows is None else rows.detach().cpu().contiguous().view(torch.uint8).tolist()
    return entry.measure, entry.split, json.dumps(encode(entry.outcome)), column
