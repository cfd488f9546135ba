"""What an audit will cost, from a short timed rehearsal on the user's own model.

Every unit of work runs on two small samples of the data; a straight line through the two times is
carried on to the real size. Of little data the samples are smaller still: a rehearsal should not
take as long as the work. Neighbor searches are timed apart, since they cost pairs, not rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from time import perf_counter

from torch import Tensor, nn

from offmap.attempt import Failure, attempt
from offmap.catalog import measures
from offmap.engine.graph import LEAVE_ONE_OUT, Builder, Graph, Task
from offmap.engine.local import computing_with
from offmap.engine.work import MEMORY_SHARE, NEIGHBORS, Context, perform
from offmap.inputs import LAYER_EXAMPLES, head_name
from offmap.numerics.neighbors import search
from offmap.passes import BATCH, device_of, evaluating
from offmap.plan import Choice, Plan, Planned, Shared, splits_of
from offmap.reading import Reading
from offmap.run import Split, TrainingRun
from offmap.table import TensorTable

LEAST, MOST = 64, 256  # rows of the larger rehearsal: between them, a quarter of the longest split
STEP = 4  # times the rows of the smaller one
SEARCH_QUERIES, SEARCH_BANK, SEARCH_BYTES = 512, 16384, 64 * 2**20
SEARCHES = ("neighbors", "feature_neighbors")


@dataclass(frozen=True, slots=True)
class Line:
    """Seconds as a function of rows: fixed + each * rows ** power."""

    fixed: float = 0.02
    each: float = 0.0
    power: float = 1.0

    def at(self, rows: float) -> float:
        """Seconds for so many rows."""
        return self.fixed + self.each * rows**self.power


def estimate(
    run: TrainingRun, choices: Sequence[Choice], graph: Graph, seed: int, threads: int
) -> tuple[Plan, dict[str, float]]:
    """The plan of an audit, and the seconds of each of its tasks by key."""
    with computing_with(threads):
        lines = _rehearse(run, choices, seed)
        lines |= _search_lines(run, graph)
    costs = {task.key: _seconds(task, run, lines) for task in graph.tasks}
    return _plan(run, choices, graph, costs), costs


# ------------------------------------------------------------------------------- the rehearsal


def _rehearse(
    run: TrainingRun, choices: Sequence[Choice], seed: int
) -> dict[tuple[str, str], Line]:
    """Time each kind of work of each measure on a small run and on a larger one."""
    once: dict[str, Choice] = {}
    for choice in choices:
        if not choice.reason:
            once.setdefault(choice.measure.name, _one_seed(choice))
    times: dict[tuple[str, str], dict[int, float]] = {}
    small, large = sizes(max(map(len, run.splits.values())))
    for size in (small, small, large):  # the first one warms up, and is written over
        for task, seconds in _timed(_miniature(run, size), list(once.values()), seed):
            times.setdefault((task.kind, task.unit), {})[_rows(task, size)] = seconds
    return {what: _line(seen, _power(*what)) for what, seen in times.items()}


def sizes(rows: int) -> tuple[int, int]:
    """Rows of the two rehearsals, if the longest split has so many."""
    large = min(MOST, max(LEAST, rows // 4))
    return large // STEP, large


def _power(kind: str, unit: str) -> float:
    """How the time grows with the rows. Layers are compared row with row, after a linear pass."""
    return 1.5 if kind == "reading" and "layers" in measures()[unit].needs else 1.0


def _one_seed(choice: Choice) -> Choice:
    seeds = {"seeds": 2} if "seeds" in choice.settings else {}
    return replace(choice, settings={**choice.settings, **seeds})


def _miniature(run: TrainingRun, size: int) -> TrainingRun:
    """The run with `size` examples in each split and one epoch of training."""

    def few(split: Split | None) -> Split | None:
        if split is None:
            return None
        small = split.part(0, min(size, len(split)))
        return Split(
            TensorTable(small.inputs), small.known_targets, groups=small.groups, name=split.name,
            memory=split.memory,
        )  # fmt: skip

    shifts = {name: few(split) for name, split in run.shifts.items()}
    train = few(run.train)
    history = run.history
    if history is not None and train is not None:
        history = replace(history, correct=history.correct[:, : len(train)])
    return replace(
        run,
        train=train,
        test=few(run.test),
        shifts={name: split for name, split in shifts.items() if split is not None},
        recipe=None if run.recipe is None else replace(run.recipe, epochs=1),
        history=history,
    )


def _timed(run: TrainingRun, choices: Sequence[Choice], seed: int) -> Iterator[tuple[Task, float]]:
    """Each task of a small run with its seconds; those that cannot be done are left out."""
    names = ["code", "settled", "model", "recipe", "history", "checkpoints"]
    names += [f"split:{name}" for name in run.splits]
    names += [f"measure:{choice.measure.name}" for choice in choices]
    roots = dict.fromkeys(names, "")
    graph = Builder(run, seed, roots).build(choices)
    context = Context(run, seed)
    results: dict[str, Mapping[str, TensorTable]] = {}
    for task in graph.tasks:
        if any(key not in results for key in task.needs):
            continue
        begin = perf_counter()
        result = attempt(lambda task=task: perform(task, context, results))
        seconds = perf_counter() - begin
        if isinstance(result, Failure):
            continue
        if not isinstance(result, Reading):
            results[task.key] = {name: TensorTable(value) for name, value in result.items()}
        yield task, seconds


def _rows(task: Task, size: int) -> int:
    return task.stop - task.start if task.stop else size


def _line(seen: Mapping[int, float], power: float = 1.0) -> Line:
    """Through the first point and the last, neither part negative."""
    (rows, seconds), *more = sorted(seen.items())
    if not more:
        return Line(0.0, seconds / rows**power, power)
    rows_2, seconds_2 = more[-1]
    each = max(0.0, (seconds_2 - seconds) / (rows_2**power - rows**power))
    return Line(max(0.0, seconds - each * rows**power), each, power)


def _search_lines(run: TrainingRun, graph: Graph) -> dict[tuple[str, str], Line]:
    """Seconds that one query takes in a search, by the number of training examples."""
    kinds = {task.kind for task in graph.tasks} & set(SEARCHES)
    if run.train is None or not kinds:
        return {}
    most = min(len(run.train), SEARCH_BANK, SEARCH_BYTES // max(1, run.train.table.row_bytes))
    few = run.train.table.read(0, max(2, most)).flatten(1)
    lines = {}
    for kind in sorted(kinds):
        bank = few if kind == "neighbors" else _features(run, few)
        queries = bank[: min(SEARCH_QUERIES, len(bank))]
        seen: dict[int, float] = {}
        for size in (len(bank), max(2, len(bank) // 8), len(bank)):  # the first one warms up
            begin = perf_counter()
            search(queries, bank[:size], k=min(NEIGHBORS, size), memory=_search_memory(run))
            seen[size] = (perf_counter() - begin) / len(queries)
        lines[kind, kind] = _line(seen)
    return lines


def _search_memory(run: TrainingRun) -> int:
    assert run.train is not None
    return run.train.memory // MEMORY_SHARE


def _features(run: TrainingRun, few: Tensor) -> Tensor:
    """Numbers of the features' shape: a search takes the same time whatever they are."""
    width = few.shape[1]
    head = run.model.get_submodule(head_name(run) or "")
    if isinstance(head, nn.Linear):
        width = head.in_features
    return few.repeat(1, ceil(width / few.shape[1]))[:, :width].contiguous()


# ----------------------------------------------------------------------------------- the prices


def _seconds(task: Task, run: TrainingRun, lines: Mapping[tuple[str, str], Line]) -> float:
    line = lines.get((task.kind, task.unit), Line())
    if task.kind in SEARCHES and run.train is not None:
        return line.at(len(run.train)) * (task.stop - task.start)
    if task.kind in ("pass", "per_example"):
        return line.at(task.stop - task.start)
    rows = _rows_read(task, run)
    if task.kind == "replicate" and run.recipe is not None:
        return line.fixed + line.each * rows * run.recipe.epochs
    return line.at(rows)


def _rows_read(task: Task, run: TrainingRun) -> int:
    """How many examples a measure goes through: of the largest split that it asks for."""
    needs = measures()[task.unit].needs
    names = {split for word in needs for split in splits_of(run, word, task.split)}
    names |= {word for word in ("train", "test") if word in needs}
    rows = max((len(run.splits[name]) for name in names if name in run.splits), default=1)
    caps = [dict(task.settings).get("examples"), LAYER_EXAMPLES if "layers" in needs else None]
    return min([rows, *(cap for cap in caps if isinstance(cap, int))])


def _plan(
    run: TrainingRun, choices: Sequence[Choice], graph: Graph, costs: Mapping[str, float]
) -> Plan:
    activations = _activation_bytes(run)
    times: dict[tuple[str, str], float] = {}
    bytes_: dict[tuple[str, str], int] = {}
    for task in graph.tasks:
        name = task.label if task.kind in ("pass", *SEARCHES) else task.unit
        where = (name, task.split)
        times[where] = times.get(where, 0.0) + costs[task.key]
        bytes_[where] = max(bytes_.get(where, 0), _bytes(task, run, activations))
    items = tuple(
        Planned(
            choice.measure.name,
            choice.measure.question,
            choice.split,
            choice.measure.cost.label,
            0.0 if choice.reason else times[choice.measure.name, choice.split],
            0 if choice.reason else bytes_[choice.measure.name, choice.split],
            choice.reason,
        )
        for choice in choices
    )
    shared = tuple(
        Shared(
            task.label, task.split, times[task.label, task.split], bytes_[task.label, task.split]
        )
        for task in {t.label: t for t in graph.tasks if t.kind in ("pass", *SEARCHES)}.values()
    )
    return Plan(items, shared)


def _bytes(task: Task, run: TrainingRun, activations: int) -> int:
    """Peak of memory above the bare import: data held, plus what the task works with."""
    held = sum(
        split.table.nbytes for split in run.splits.values() if isinstance(split.table, TensorTable)
    )
    held += sum(w.nbytes for w in run.model.parameters())
    split = run.splits.get(task.split) or next(iter(run.splits.values()))
    row = split.table.row_bytes
    if task.kind in SEARCHES:
        pairs = min(LEAVE_ONE_OUT, task.stop - task.start) * len(run.train or split) * 8
        return held + min(split.memory // MEMORY_SHARE, pairs)
    if task.kind == "pass":
        return held + BATCH * (activations + row) + (task.stop - task.start) * 4096
    rows = min(BATCH, len(split))
    passes = 4 if task.kind in ("per_example", "replicate") else 1
    return held + passes * rows * (activations + row) + 64 * len(split)


def _activation_bytes(run: TrainingRun) -> int:
    """Bytes that the outputs of all modules take for one example."""
    total = 0

    def count(_: nn.Module, __: object, out: object) -> None:
        nonlocal total
        total += out.nbytes if isinstance(out, Tensor) else 0

    leaves = [m for m in run.model.modules() if next(m.children(), None) is None]
    hooks = [module.register_forward_hook(count) for module in leaves]
    one = next(iter(run.splits.values())).part(0, 1).inputs
    with evaluating(run.model):
        run.model(one.to(device_of(run.model)))
    for hook in hooks:
        hook.remove()
    return total
