"""The tasks of an audit: what each of them is, and what it needs."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Literal

from offmap.attempt import InputError
from offmap.inputs import VOCABULARY, home
from offmap.passes import BATCH
from offmap.plan import Choice, splits_of
from offmap.run import TrainingRun

Kind = Literal[
    "pass", "neighbors", "feature_neighbors", "per_example", "replicate", "reading", "trial"
]
RESULTS = ("reading", "trial")  # the kinds that are asked for; others only help

SHARD_BYTES = 64 * 2**20  # of inputs in one shard of a pass
SHARD_ROWS = 8192
SEARCH_ROWS = 2048  # queries in one shard of a neighbor search
LEAVE_ONE_OUT = 10_000  # training examples whose neighbors among the others are looked up


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
        seed = f", seed {self.index}" if self.kind == "trial" else ""
        return name.get(self.unit, self.unit) + where + seed


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
        roots: Fingerprints, as `fingerprints` gives them.
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
            roots = ["model", f"split:{split}"]
            self.done["pass", split] = tuple(
                self._add(Task("pass", "pass", split, start, stop, wants=wants), roots)
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
            yield self._add(task, ["model", "split:train", f"split:{split}"])

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

    def _roots(self, choice: Choice) -> list[str]:
        """Names of the fingerprints on which a measure's result depends."""
        names, splits = {"model", f"measure:{choice.measure.name}"}, set()
        for word in choice.measure.needs:
            if word in ("recipe", "history", "checkpoints"):
                names.add(word)
            elif word == "shifts":
                splits |= set(self.run.shifts)
            elif word in ("train", "test"):
                splits.add(word)
            splits |= set(splits_of(self.run, word, choice.split))
            if home(word)[1] in ("neighbors", "feature_neighbors"):
                splits.add("train")
        return sorted(names | {f"split:{name}" for name in splits})

    def _add(self, task: Task, roots: Sequence[str]) -> str:
        # Not the keys of the sources: they differ with what other measures want of a pass.
        prints = {name: self.roots[name] for name in (*roots, "code", "settled")}
        said = [
            task.kind, task.unit, task.split, task.start, task.stop, task.index, task.wants,
            task.settings, self.seed, prints,
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
