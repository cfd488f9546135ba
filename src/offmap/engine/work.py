"""The tasks of an audit: what each of them is, what it needs, and how it is performed."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, Literal

import torch
from torch import Tensor

from offmap.attempt import InputError
from offmap.catalog import measures
from offmap.codec import decode, encode
from offmap.engine.seeds import derive, sample
from offmap.inputs import (
    LAYER_EXAMPLES,
    VOCABULARY,
    ClassPredictions,
    Features,
    Layers,
    Predictions,
    RealPredictions,
    ReconstructionPredictions,
    TokenPredictions,
    TrainNeighbors,
    head_name,
    home,
)
from offmap.measure import is_stochastic, keyword_defaults, positional
from offmap.numerics.neighbors import search
from offmap.passes import BATCH, captured, evaluating, flat, named_layer, outputs
from offmap.plan import Choice, splits_of
from offmap.reading import Reading
from offmap.run import Split, TrainingRun
from offmap.table import Parts, Table

Kind = Literal["pass", "neighbors", "feature_neighbors", "per_example", "replicate", "reading"]
Results = Mapping[str, Mapping[str, Table]]  # what finished tasks gave, by key and name

SHARD_BYTES = 64 * 2**20  # of inputs in one shard of a pass
SHARD_ROWS = 8192
SEARCH_ROWS = 2048  # queries in one shard of a neighbor search
LEAVE_ONE_OUT = 10_000  # training examples whose neighbors among the others are looked up
NEIGHBORS = 10
MEMORY_SHARE = 4  # a search may take this part of the budget


@dataclass(frozen=True, slots=True)
class Task:
    """One piece of work. Its key says everything that its result depends on.

    Args:
        kind: What is done.
        unit: Name of the measure, or of the shared work.
        split: Name of the split that is read.
        start: First row of the shard.
        stop: End of the shard.
        index: Number of the repetition.
        wants: For a pass, what to keep: `answers`, `features`.
        sources: For each piece of work and split, the keys of the tasks that did it.
        settings: Of the measure.
        key: Fingerprint.
    """

    kind: Kind
    unit: str
    split: str = ""
    start: int = 0
    stop: int = 0
    index: int = 0
    wants: tuple[str, ...] = ()
    sources: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    settings: tuple[tuple[str, object], ...] = ()
    key: str = ""

    @property
    def needs(self) -> tuple[str, ...]:
        """Keys of the tasks that must be done first."""
        return tuple(dict.fromkeys(key for *_, keys in self.sources for key in keys))

    @property
    def label(self) -> str:
        """How progress and reports call it."""
        name = {"pass": "forward pass", "feature_neighbors": "feature neighbors"}
        where = f" on {self.split}" if self.split else ""
        return name.get(self.unit, self.unit) + where


@dataclass(frozen=True, slots=True)
class Context:
    """What every task is given: the run, and the root of its random numbers."""

    run: TrainingRun
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """All tasks, each after those that it needs, and the task of each choice that runs."""

    tasks: tuple[Task, ...]
    readings: Mapping[str, Choice]


# ------------------------------------------------------------------------------ making the graph


class Builder:
    """Makes the tasks of some choices.

    Args:
        run: What is audited.
        seed: Root of the generators.
        roots: Fingerprints: `code`, `model`, `recipe`, `history`, and of each split by name.
    """

    def __init__(self, run: TrainingRun, seed: int, roots: Mapping[str, str]) -> None:
        self.run, self.seed, self.roots = run, seed, roots
        self.done: dict[tuple[str, str], tuple[str, ...]] = {}
        self.tasks: dict[str, Task] = {}
        self.wants: dict[str, set[str]] = {}

    def build(self, choices: Sequence[Choice]) -> Graph:
        """The tasks of every choice that has no reason against it, cheapest first."""
        running = [choice for choice in choices if not choice.reason]
        for choice in running:
            for work, split in self._works(choice):
                self._want(work, split)
        readings = {}
        for choice in sorted(running, key=lambda c: c.measure.cost):
            readings[self._reading(choice)] = choice
        return Graph(tuple(self.tasks.values()), readings)

    def _works(self, choice: Choice) -> Iterator[tuple[str, str]]:
        for word in choice.measure.needs:
            for split in splits_of(self.run, word, choice.split):
                for work in VOCABULARY[word].work:
                    yield work, split

    def _want(self, work: str, split: str) -> None:
        if work == "forward":
            self.wants.setdefault(split, set()).add("answers")
        if work in ("features", "feature_neighbors"):
            self.wants.setdefault(split, set()).add("features")
        if work == "feature_neighbors":
            self.wants.setdefault("train", set()).add("features")

    def _source(self, work: str, split: str) -> tuple[str, str, tuple[str, ...]]:
        """The finished tasks that hold this work, made if they were not yet."""
        if work in ("forward", "features"):
            return ("pass", split, self._pass(split))
        if (work, split) not in self.done:
            self.done[work, split] = tuple(self._searches(work, split))
        return (work, split, self.done[work, split])

    def _pass(self, split: str) -> tuple[str, ...]:
        if ("pass", split) not in self.done:
            table = self.run.splits[split].table
            rows = max(1, SHARD_BYTES // max(1, table.row_bytes)) // BATCH * BATCH
            size = min(SHARD_ROWS, max(BATCH, rows))
            wants = tuple(sorted(self.wants[split]))
            self.done["pass", split] = tuple(
                self._add(Task("pass", "pass", split, start, stop, wants=wants), ("model", split))
                for start, stop in _shards(len(table), size)
            )
        return self.done["pass", split]

    def _searches(self, work: str, split: str) -> Iterator[str]:
        n = len(self.run.splits[split])
        n = min(n, LEAVE_ONE_OUT) if split == "train" else n
        sources = ()
        if work == "feature_neighbors":
            sources = (self._source("features", "train"), self._source("features", split))
        kind: Kind = "neighbors" if work == "neighbors" else "feature_neighbors"
        for start, stop in _shards(n, SEARCH_ROWS):
            task = Task(kind, work, split, start, stop, sources=tuple(dict.fromkeys(sources)))
            yield self._add(task, ("train", split))

    def _reading(self, choice: Choice) -> str:
        unit, settings = choice.measure, tuple(sorted(choice.settings.items()))
        roots = self._roots(choice)
        sources = tuple(dict.fromkeys(self._source(w, s) for w, s in self._works(choice)))
        base = Task("reading", unit.name, choice.split, sources=sources, settings=settings)
        keys: list[str] = []
        if unit.per_example is not None:
            for start, stop in _shards(len(self.run.splits[choice.split]), SEARCH_ROWS):
                task = replace(base, kind="per_example", start=start, stop=stop)
                keys.append(self._add(task, roots))
        if unit.replicate is not None:
            tasks = (
                replace(base, kind="replicate", index=index)
                for index in range(_repetitions(choice.settings))
            )
            keys.extend(self._add(task, roots) for task in tasks)
        if keys:
            base = replace(base, sources=(*sources, ("inner", choice.split, tuple(keys))))
        return self._add(base, roots)

    def _roots(self, choice: Choice) -> tuple[str, ...]:
        """Names of the fingerprints on which a measure's result depends."""
        names = {"model", "settled", choice.measure.name}
        for word in choice.measure.needs:
            prefix, base = home(word)
            if word in ("recipe", "history", "checkpoints"):
                names.add(word)
            elif word == "shifts" or prefix == "all":
                names |= set(self.run.splits)
            elif word in ("train", "test"):
                names.add(word)
            elif prefix is not None:
                names.add(prefix)
            elif VOCABULARY[base].per_split:
                names.add(choice.split)
        return tuple(sorted(names & (set(self.roots) | set(self.run.splits))))

    def _add(self, task: Task, roots: Sequence[str]) -> str:
        prints = {name: self.roots[name] for name in (*roots, "code", "settled")}
        said = [
            task.kind, task.unit, task.split, task.start, task.stop, task.index, task.wants,
            task.sources, task.settings, self.seed, prints,
        ]  # fmt: skip
        key = blake2b(json.dumps(said, sort_keys=True, default=str).encode(), digest_size=16)
        task = replace(task, key=key.hexdigest())
        self.tasks.setdefault(task.key, task)
        return task.key


def _repetitions(settings: Mapping[str, object]) -> int:
    seeds = settings["seeds"]
    if not isinstance(seeds, int) or seeds < 2:
        raise InputError(f"expected at least two seeds for an interval, got {seeds}")
    return seeds


def _shards(n: int, size: int) -> list[tuple[int, int]]:
    return [(start, min(start + size, n)) for start in range(0, n, size)]


# --------------------------------------------------------------------------- performing one task


def perform(task: Task, context: Context, results: Results) -> dict[str, Tensor] | Reading:
    """Do one task. The same task gives the same bits wherever it is done."""
    if task.kind == "pass":
        return _pass(task, context.run)
    if task.kind in ("neighbors", "feature_neighbors"):
        return _search(task, context, results)
    unit = measures()[task.unit]
    if task.kind == "reading":
        function = unit.function
    else:
        function = unit.inner
        assert function is not None
    run = context.run
    values = {word: _give(word, task, context, results) for word in positional(function)}
    if task.kind == "per_example":
        values["split"] = run.splits[task.split].window(task.start, task.stop)
    settings: dict[str, object] = {
        name: value for name, value in task.settings if name in keyword_defaults(function)
    }
    if is_stochastic(function):
        settings["generator"] = derive(
            context.seed, task.unit, task.split, task.kind, task.index, task.start
        )
    return _checked(function(*values.values(), **settings), task)


def _checked(answer: Any, task: Task) -> dict[str, Tensor] | Reading:
    """What a measure gave, if it can be kept: an error here is one measure's, not the audit's.

    Raises:
        TypeError: If it is something else.
    """
    if task.kind == "reading":
        if not isinstance(answer, Reading):
            raise TypeError(f"expected {task.unit} to return a Reading, got {type(answer)}")
        decode(encode(answer))  # refuses what no report can hold
        return answer
    rows = task.stop - task.start if task.kind == "per_example" else None
    shape = tuple(answer.shape) if isinstance(answer, Tensor) else ()
    if not shape or rows not in (None, shape[0]):
        raise TypeError(
            f"expected {task.kind} of {task.unit} to return a tensor [{rows or 'c'}, ...], "
            f"got {shape or type(answer)}"
        )
    return {"rows": answer.detach()}


def _pass(task: Task, run: TrainingRun) -> dict[str, Tensor]:
    """Outputs of the model on a shard, and the features on the way."""
    layer = head_name(run) if "features" in task.wants else None
    pieces: dict[str, list[Tensor]] = {}
    shard = run.splits[task.split].window(task.start, task.stop)
    with evaluating(run.model), captured(run.model, inputs_of=layer) as caught:
        for batch, out in outputs(run.model, shard, first_row=task.start):
            kept = _answers(run, batch, out) if "answers" in task.wants else {}
            if layer is not None:
                kept["features"] = flat(caught[layer])
            for name, value in kept.items():
                pieces.setdefault(name, []).append(value.detach().cpu())
    return {name: torch.cat(values) for name, values in pieces.items()}


def _answers(run: TrainingRun, batch: Split, out: Tensor) -> dict[str, Tensor]:
    """What is kept of the model's outputs [b, ...]: no more than later statistics need."""
    if run.task == "classification":
        return {"logits": out}
    if run.task == "regression":
        return {"outputs": out}
    if run.task == "reconstruction":
        gap = out.double() - batch.inputs.to(out.device).double()
        return {"errors": gap.square().flatten(1).mean(dim=1)}
    targets = batch.targets.to(out.device)
    nll = torch.nn.functional.cross_entropy(
        out.float().flatten(0, 1), targets.flatten(), reduction="none"
    )
    return {"nll": nll.view(targets.shape), "hits": out.argmax(dim=-1) == targets}


def _search(task: Task, context: Context, results: Results) -> dict[str, Tensor]:
    """Nearest training examples of a shard of a split's inputs or features."""
    run = context.run
    assert run.train is not None
    in_features = task.kind == "feature_neighbors"
    if in_features:
        bank = _column(task, results, "pass", "train", "features")
        queries = _column(task, results, "pass", task.split, "features")
    else:
        bank, queries = run.train.table, run.splits[task.split].table
    rows = query_rows(context, task.split)[task.start : task.stop]
    own = task.split == "train"
    found = search(
        queries.take(rows).flatten(1),
        bank,
        k=min(NEIGHBORS, len(bank) - own),
        exclude=rows if own else None,
        memory=run.train.memory // MEMORY_SHARE,
    )
    return {"distance": found.distance.cpu(), "index": found.index.cpu()}


def query_rows(context: Context, split: str) -> Tensor:
    """The rows of a split whose neighbors are looked up: all, or a sample of train."""
    n = len(context.run.splits[split])
    return sample(context.seed, "leave-one-out", n, LEAVE_ONE_OUT if split == "train" else n)


# -------------------------------------------------------------------- what a measure is called with


def _give(word: str, task: Task, context: Context, results: Results) -> object:
    """The value of one word of the vocabulary, for a measure that reads `task.split`."""
    run = context.run
    prefix, base = home(word)
    if word == "per_example":
        return _column(task, results, "inner", task.split, "rows").all()
    if word == "replicates":
        keys = next(keys for work, _, keys in task.sources if work == "inner")
        return torch.stack([results[key]["rows"].all() for key in keys])
    if word == "head":
        return named_layer(run.model, head_name(run) or "")
    if not VOCABULARY[word].per_split:
        return getattr(run, word)
    if prefix == "all":
        names = splits_of(run, word, task.split)
        return {name: _of_split(base, name, task, context, results) for name in names}
    return _of_split(base, prefix or task.split, task, context, results)


def _of_split(base: str, split: str, task: Task, context: Context, results: Results) -> object:
    run = context.run
    if base == "split":
        return run.splits[split]
    if base == "groups":
        return run.splits[split].groups
    if base == "layers":
        rows = sample(context.seed, f"layers of {split}", len(run.splits[split]), LAYER_EXAMPLES)
        return Layers(run.model, run.splits[split], rows)
    if base == "predictions":
        return _predictions(run, split, task, results)
    if base == "features":
        table = _column(task, results, "pass", split, "features")
        return Features(table, head_name(run) or "", run.splits[split].memory)
    distance = _column(task, results, base, split, "distance")
    index = _column(task, results, base, split, "index")
    return TrainNeighbors(query_rows(context, split), distance.all(), index.all())


def _predictions(run: TrainingRun, split: str, task: Task, results: Results) -> Predictions:
    def column(name: str) -> Tensor:
        return _column(task, results, "pass", split, name).all()

    targets = run.splits[split].known_targets
    if run.task == "reconstruction":
        return ReconstructionPredictions(column("errors"))
    if run.task == "tokens":
        return TokenPredictions(column("nll"), column("hits"))
    assert targets is not None
    if run.task == "regression":
        return RealPredictions(column("outputs"), targets)
    return ClassPredictions(column("logits"), targets.long())


def _column(task: Task, results: Results, work: str, split: str, name: str) -> Table:
    """One column of finished work over a split, as one table."""
    keys = next(keys for w, s, keys in task.sources if (w, s) == (work, split))
    return Parts([results[key][name] for key in keys])
