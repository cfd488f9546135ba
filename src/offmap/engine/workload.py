"""What an engine needs to know of the work it runs: an audit's, or the laboratory's."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from offmap.attempt import Failure
from offmap.engine.graph import Task
from offmap.table import Table

Results = Mapping[str, Mapping[str, Table]]  # what finished tasks gave, by key and name


@runtime_checkable
class Workload(Protocol):
    """What all tasks have in common; every worker is given it once."""

    def perform(self, task: Task, results: Results) -> Any:
        """Do one task: tensors that later tasks need, or a record that is a result by itself."""

    def shipped(self) -> "Workload":
        """As another machine can read it."""
        ...

    def code(self) -> Sequence[object]:
        """Classes and functions of the user's own, which workers cannot import."""
        ...

    def on_gpu(self) -> bool:
        """Whether the tasks compute on a GPU."""
        ...


@runtime_checkable
class Starting(Protocol):
    """Somebody who is told when a task begins."""

    def start(self, task: Task) -> None:
        """A task begins."""


@runtime_checkable
class Books(Protocol):
    """What has been done and what is left."""

    @property
    def todo(self) -> Sequence[Task]:
        """What is left, each task after those that it needs."""
        ...

    @property
    def watcher(self) -> Starting:
        """Told of every step."""
        ...

    @property
    def users(self) -> Mapping[str, int]:
        """How many tasks that are left need the result of a key."""
        ...

    def inputs(self, task: Task) -> Results:
        """What finished tasks left for this one."""
        ...

    def kept(self, key: str) -> Mapping[str, Table] | None:
        """What a task of an earlier run left; None if it was never finished."""

    def blocked(self, task: Task) -> Failure | None:
        """The failure of something that the task needs, if there was one."""

    def finish(self, task: Task, result: Any, seconds: float, peak_bytes: int) -> None:
        """Write down what came of a task."""
