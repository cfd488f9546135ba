"""What has been done and what is left: the same books for every engine."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Protocol, runtime_checkable

from torch import Tensor

from offmap.attempt import CannotMeasure, Failure, InputError
from offmap.engine import memory
from offmap.engine.graph import Graph, Task
from offmap.engine.store import Store
from offmap.engine.workload import Results
from offmap.reading import Entry, Failed, Outcome, Reading, Skipped
from offmap.table import Table


@runtime_checkable
class Result(Protocol):
    """What was asked for and is there now: a reading of an audit, a trial of the laboratory."""

    @property
    def said(self) -> str:
        """It in a few words."""
        ...


@runtime_checkable
class Watcher(Protocol):
    """Somebody who follows the work: a progress bar, a log, a test."""

    def begin(self, tasks: Iterable[Task], reused: int) -> None:
        """These tasks are to be done; so many results were found done."""

    def start(self, task: Task) -> None:
        """A task begins."""

    def finish(self, task: Task, result: Result | None) -> None:
        """A task is done; its result if it is one that was asked for."""


class Ledger:
    """Keeps the books of one audit.

    Args:
        graph: All tasks.
        store: Where finished work is.
        watcher: Told of every step.
    """

    def __init__(self, graph: Graph, store: Store, watcher: Watcher) -> None:
        self.graph, self.store, self.watcher = graph, store, watcher
        self.by_key = {task.key: task for task in graph.tasks}
        self.entries: dict[str, Entry] = {}
        self.failed: dict[str, Failure] = {}
        self.seconds: dict[str, float] = {}
        self.peak_bytes = max(0, memory.peak() - memory.BASELINE)  # of the look at the data
        for key in graph.readings:
            if (entry := store.entry(key)) is not None:
                self.entries[key] = _again(entry)
        self.todo = self._todo()
        self.users = Counter(key for task in self.todo for key in task.needs)
        watcher.begin(self.todo, len(self.entries))

    def _todo(self) -> tuple[Task, ...]:
        """Readings that are not there, and whatever they need that is not there either."""
        needed = [key for key in self.graph.readings if key not in self.entries]
        wanted: set[str] = set()
        while needed:
            key = needed.pop()
            if key in wanted:
                continue
            if key not in self.graph.readings and self.store.has(key):
                self.seconds[key] = self.store.get(key)[1]
                continue
            wanted.add(key)
            needed.extend(self.by_key[key].needs)
        return tuple(task for task in self.graph.tasks if task.key in wanted)

    def inputs(self, task: Task) -> Results:
        """What finished tasks left for this one."""
        return {key: self.store.get(key)[0] for key in task.needs}

    def kept(self, key: str) -> Mapping[str, Table] | None:
        """What a task of an earlier audit left; None if it was never finished."""
        return self.store.get(key)[0] if self.store.has(key) else None

    def blocked(self, task: Task) -> Failure | None:
        """The failure of something that the task needs, if there was one."""
        return next((self.failed[key] for key in task.needs if key in self.failed), None)

    def finish(
        self,
        task: Task,
        result: dict[str, Tensor] | Reading | Failure,
        seconds: float,
        peak_bytes: int,
    ) -> None:
        """Write down what came of a task, and let go of what nobody needs any more.

        Raises:
            InputError: If shared work showed that the user's model or data cannot be used.
        """
        self.seconds[task.key] = seconds
        self.peak_bytes = max(self.peak_bytes, peak_bytes)
        entry = None
        if task.kind == "reading":
            assert not isinstance(result, dict)
            entry = self._entry(task, _outcome(result), seconds, peak_bytes)
            self.entries[task.key] = entry
            if not isinstance(entry.outcome, Failed):
                self.store.put_entry(task.key, entry)
        elif isinstance(result, Failure):
            if task.kind == "pass" and isinstance(result.error, InputError):
                raise result.error
            self.failed[task.key] = result
        else:
            assert not isinstance(result, Reading)
            self.store.put(task.key, result, seconds)
        self.users.subtract(task.needs)
        for key in task.needs:
            if self.users[key] == 0:
                self.store.drop(key)
        self.watcher.finish(task, entry)

    def _entry(self, task: Task, outcome: Outcome, seconds: float, peak_bytes: int) -> Entry:
        inner = [key for work, _, keys in task.sources if work == "inner" for key in keys]
        return Entry(
            measure=task.unit,
            question=self.graph.readings[task.key].measure.question,
            split=task.split,
            outcome=outcome,
            settings=dict(task.settings),
            seconds=seconds + sum(self.seconds.get(key, 0.0) for key in inner),
            peak_bytes=peak_bytes,
        )

    @property
    def shared_seconds(self) -> dict[str, float]:
        """Time of work that several measures read, by its label."""
        times: dict[str, float] = {}
        for task in self.graph.tasks:
            if task.kind in ("pass", "neighbors", "feature_neighbors") and task.key in self.seconds:
                times[task.label] = times.get(task.label, 0.0) + self.seconds[task.key]
        return times


def _outcome(result: Reading | Failure) -> Outcome:
    if isinstance(result, Reading):
        return result
    if isinstance(result.error, CannotMeasure):
        return Skipped(str(result.error))
    return Failed(result.summary, result.traceback)


def _again(entry: Entry) -> Entry:
    return replace(entry, reused=True)
