"""What comes of a measure on a split: a reading, a reason why there is none, or an error."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor

from offmap.estimate import Estimate
from offmap.figures import Figure


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """A measured number.

    Args:
        estimate: The headline, with its interval.
        null: What it would be had there been nothing to find.
        parts: Numbers that explain the headline.
        per_example: The same question for each example of the split; NaN where it has no answer.
        figures: What is better seen than read.
        notes: Findings in words, one sentence each.
    """

    estimate: Estimate
    null: Estimate | None = None
    parts: Mapping[str, Estimate] = field(default_factory=dict)
    per_example: Float[Tensor, " n"] | None = None
    figures: tuple[Figure, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def value(self) -> float:
        """The headline number."""
        return self.estimate.value

    @property
    def low(self) -> float:
        """Lower end of the headline's interval."""
        return self.estimate.low

    @property
    def high(self) -> float:
        """Upper end of the headline's interval."""
        return self.estimate.high


@dataclass(frozen=True, slots=True)
class Skipped:
    """Cannot be measured here, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The measure raised an error."""

    error: str
    traceback: str


Outcome = Reading | Skipped | Failed


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One line of a report: what a measure said of a split.

    Args:
        measure: Name of the measure.
        question: Name of the question that it belongs to.
        split: Name of the split; empty where the measure is not about one.
        outcome: What came of it.
        settings: The values that its settings had.
        seconds: Time that it took, its own shards and repetitions included.
        peak_bytes: Peak of resident memory while it ran, above that of the bare import.
        reused: Whether it was taken from an earlier, interrupted audit.
    """

    measure: str
    question: str
    split: str
    outcome: Outcome
    settings: Mapping[str, object] = field(default_factory=dict)
    seconds: float = 0.0
    peak_bytes: int = 0
    reused: bool = False

    @property
    def reading(self) -> Reading | None:
        """The outcome, if it is a reading."""
        return self.outcome if isinstance(self.outcome, Reading) else None

    @property
    def said(self) -> str:
        """The outcome in a few words."""
        match self.outcome:
            case Reading(estimate=estimate):
                return f"{estimate}"
            case Skipped(reason=reason):
                return f"skipped: {reason}"
            case Failed(error=error):
                return f"failed: {error}"
