"""Watching the work: a bar with the time left on a terminal, plain lines elsewhere."""

from collections.abc import Callable, Iterable, Mapping
from time import perf_counter

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from offmap.engine.graph import RESULTS, Task
from offmap.engine.ledger import Result

Cost = Callable[[Task], float]


class Silent:
    """Nobody watches."""

    def begin(self, tasks: Iterable[Task], reused: int) -> None:
        """See `Watcher`."""

    def start(self, task: Task) -> None:
        """See `Watcher`."""

    def finish(self, task: Task, result: Result | None) -> None:
        """See `Watcher`."""


class Clock:
    """Time left, from estimates that are corrected by how the finished tasks went."""

    def __init__(self, tasks: Iterable[Task], costs: Mapping[str, float]) -> None:
        self.costs = costs
        self.left = {task.key: costs.get(task.key, 0.01) for task in tasks}
        self.total = sum(self.left.values()) or 1.0
        self.began = perf_counter()

    def done(self, task: Task) -> None:
        """A task is finished."""
        self.left.pop(task.key, None)

    @property
    def finished(self) -> float:
        """Share of the estimated work that is done."""
        return 1 - sum(self.left.values()) / self.total

    @property
    def seconds_left(self) -> float:
        """Estimated seconds until the end."""
        spent, share = perf_counter() - self.began, self.finished
        estimate = sum(self.left.values())
        if share < 0.05:
            return estimate
        return 0.5 * estimate + 0.5 * spent * (1 - share) / share


class Lines:
    """One line for each result, on a stream that is not a terminal."""

    def __init__(
        self, console: Console, costs: Mapping[str, float], what: str = "readings"
    ) -> None:
        self.console, self.costs, self.what = console, costs, what

    def begin(self, tasks: Iterable[Task], reused: int) -> None:
        """See `Watcher`."""
        tasks = list(tasks)
        self.clock = Clock(tasks, self.costs)
        results = sum(task.kind in RESULTS for task in tasks)
        again = f", {reused} taken from an earlier run" if reused else ""
        self.console.print(
            f"{results} {self.what} to take{again}; about {duration(self.clock.seconds_left)}"
        )

    def start(self, task: Task) -> None:
        """See `Watcher`."""

    def finish(self, task: Task, result: Result | None) -> None:
        """See `Watcher`."""
        self.clock.done(task)
        if result is not None:
            left = duration(self.clock.seconds_left)
            self.console.print(f"{task.label}: {result.said}  ({left} left)", markup=False)


class Bar:
    """A progress bar on a terminal."""

    def __init__(
        self, console: Console, costs: Mapping[str, float], what: str = "readings"
    ) -> None:
        self.costs, self.what = costs, what
        self.progress = Progress(
            TextColumn("{task.description:<44.44}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]} left"),
            console=console,
        )

    def begin(self, tasks: Iterable[Task], reused: int) -> None:
        """See `Watcher`."""
        tasks = list(tasks)
        self.clock = Clock(tasks, self.costs)
        self.waiting = len(tasks)
        if reused:
            self.progress.console.print(f"{reused} {self.what} taken from an earlier run")
        if tasks:
            self.progress.start()
            self.bar = self.progress.add_task("", total=1.0, left=duration(self.clock.seconds_left))

    def start(self, task: Task) -> None:
        """See `Watcher`."""
        self.progress.update(self.bar, description=task.label)

    def finish(self, task: Task, result: Result | None) -> None:
        """See `Watcher`."""
        self.clock.done(task)
        self.waiting -= 1
        left = duration(self.clock.seconds_left)
        self.progress.update(self.bar, completed=self.clock.finished, left=left)
        if self.waiting == 0:
            self.stop()

    def stop(self) -> None:
        """Leave the terminal as it was."""
        self.progress.stop()


def duration(seconds: float) -> str:
    """`0.04 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 10:
        return f"{seconds:.2g} s" if seconds else "0 s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
