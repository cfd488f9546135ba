"""What can run, and what it will cost in seconds and bytes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Planned:
    """A measure on a split, before it runs.

    Args:
        measure: Name of the measure.
        question: Name of its question.
        split: Name of the split; empty where the measure is not about one.
        cost: Label of its cost class.
        seconds: Estimated time, shared work apart.
        peak_bytes: Estimated peak of resident memory above that of the bare import.
        reason: Why it will not run; empty where it will.
    """

    measure: str
    question: str
    split: str
    cost: str
    seconds: float = 0.0
    peak_bytes: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Shared:
    """Work that several measures read: a forward pass or a neighbor search over one split."""

    work: str
    split: str
    seconds: float
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What an audit will do, in the order in which it will do it."""

    items: tuple[Planned, ...]
    shared: tuple[Shared, ...] = ()

    @property
    def runs(self) -> tuple[Planned, ...]:
        """What will run."""
        return tuple(item for item in self.items if not item.reason)

    @property
    def left_out(self) -> tuple[Planned, ...]:
        """What will not, each with its reason."""
        return tuple(item for item in self.items if item.reason)

    @property
    def seconds(self) -> float:
        """Estimated time of everything."""
        return sum(item.seconds for item in (*self.runs, *self.shared))
