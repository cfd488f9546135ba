"""How far long work has come, and how long the rest may take."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from typing import NamedTuple


class Stage(NamedTuple):
    """Where the work stands.

    Args:
        what: The kind of step that begins, or was the last.
        done: Steps that are finished.
        total: Steps altogether.
        seconds_left: By the mean time of the finished steps of each kind.
        open: Whether there are kinds to come of which none has been finished: it takes longer.
    """

    what: str
    done: int
    total: int
    seconds_left: float
    open: bool


Watch = Callable[[Stage], None]


class Agenda:
    """The steps of some work by kind, and the time that those of each kind take.

    Args:
        watch: Called before and after each step.
    """

    def __init__(self, watch: Watch | None = None) -> None:
        self.watch = watch
        self.total: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.seconds: dict[str, float] = {}
        self.began = perf_counter()

    def expect(self, kinds: Mapping[str, int]) -> None:
        """So many more steps of each kind are to come."""
        self.total.update(kinds)

    def skip(self, kinds: Mapping[str, int]) -> None:
        """So many fewer are to come."""
        self.total.subtract(kinds)

    @contextmanager
    def step(self, kind: str) -> Iterator[None]:
        """One step: what happens in this block."""
        self._say(kind)
        self.began = perf_counter()
        yield
        self.tick(kind)

    def tick(self, kind: str) -> None:
        """A step has just been finished; it began when the one before it ended."""
        now = perf_counter()
        self.seconds[kind] = self.seconds.get(kind, 0.0) + now - self.began
        self.done[kind] += 1
        self.began = now
        self._say(kind)

    def stage(self, what: str) -> Stage:
        """Where the work stands."""
        left = {kind: max(0, count - self.done[kind]) for kind, count in self.total.items()}
        known = {kind: self.seconds[kind] / self.done[kind] for kind in left if self.done[kind]}
        done = sum(self.done.values())
        return Stage(
            what,
            done,
            done + sum(left.values()),
            sum(seconds * left[kind] for kind, seconds in known.items()),
            any(count and kind not in known for kind, count in left.items()),
        )

    def _say(self, what: str) -> None:
        if self.watch is not None:
            self.watch(self.stage(what))
