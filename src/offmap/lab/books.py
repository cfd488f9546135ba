"""The books of a run of the laboratory: a file for each finished trial."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from offmap.attempt import Failure, readable
from offmap.engine.graph import Task
from offmap.engine.ledger import Watcher
from offmap.engine.store import writing
from offmap.engine.workload import Results
from offmap.files import write_whole
from offmap.lab.claim import Trial
from offmap.lab.finding import Done, as_json, from_json, outcome_of
from offmap.table import Table


class Books:
    """Keeps the books of a run: which trials were made before, and which are left.

    Args:
        tasks: One for each claim and seed.
        folder: Where trials are kept.
        watcher: Told of every step.
    """

    def __init__(self, tasks: Sequence[Task], folder: Path, watcher: Watcher) -> None:
        self.folder, self.watcher = folder, watcher
        self.users: Counter[str] = Counter()
        self.done: dict[str, Done] = {}
        for task in tasks:
            path = self._path(task)
            if path.exists():
                self.done[task.key] = replace(_read(path), reused=True)
        self.todo = [task for task in tasks if task.key not in self.done]
        watcher.begin(self.todo, len(self.done))

    def _path(self, task: Task) -> Path:
        return self.folder / f"{task.unit}-{task.index}-{task.key}.json"

    def inputs(self, task: Task) -> Results:
        """Nothing: a trial needs no other."""
        return {}

    def kept(self, key: str) -> Mapping[str, Table] | None:
        """Nothing: a trial is a result by itself."""
        return None

    def blocked(self, task: Task) -> Failure | None:
        """Never: a trial needs no other."""
        return None

    def finish(self, task: Task, result: Trial | Failure, seconds: float, peak_bytes: int) -> None:
        """Write down what came of a trial. One that failed is tried again by the next run."""
        done = Done(task.index, outcome_of(result), seconds)
        self.done[task.key] = done
        if isinstance(result, Trial):
            with writing(self.folder):
                write_whole(self._path(task), json.dumps(as_json(done)).encode())
        self.watcher.finish(task, done)


def _read(path: Path) -> Done:
    """A finished trial.

    Raises:
        InputError: If the file was damaged.
    """
    return readable(
        lambda: from_json(json.loads(path.read_text(encoding="utf-8"))),
        f"the finished trial {path} (remove it, or give --fresh)",
    )
