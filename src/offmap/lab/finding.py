"""What came of a claim: its trials, the interval of its effect, and the verdict from that."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, Literal

from offmap.attempt import Failure
from offmap.codec import RECORDS, decode, encode
from offmap.estimate import Estimate, replicates
from offmap.lab.claim import Scale, Statement, Trial
from offmap.reading import Failed

Verdict = Literal["supported", "refuted", "inconclusive", "none"]
VERDICTS: tuple[Verdict, ...] = ("supported", "refuted", "inconclusive", "none")


@dataclass(frozen=True, slots=True, eq=False)
class Done:
    """One seed of a claim: what it gave, or why it failed.

    Args:
        seed: Root of its random numbers.
        outcome: The trial, or its error.
        seconds: Time that it took.
        reused: Whether it was taken from an earlier run.
    """

    seed: int
    outcome: Trial | Failed
    seconds: float
    reused: bool = False

    @property
    def said(self) -> str:
        """The outcome in a few words."""
        if isinstance(self.outcome, Failed):
            return f"failed: {self.outcome.error}"
        return f"{self.outcome.effect:.4g}"


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """A claim with its trials. Interval and verdict are computed, never stored or declared.

    Args:
        statement: What was claimed.
        scale: How large the trials were.
        parameters: Of the scale.
        trials: One for each seed.
        provenance: Versions, commit, command, machine.
    """

    statement: Statement
    scale: Scale
    parameters: Mapping[str, Any]
    trials: tuple[Done, ...]
    provenance: Mapping[str, str]

    @property
    def finished(self) -> tuple[Trial, ...]:
        """The trials that did not fail."""
        return tuple(done.outcome for done in self.trials if isinstance(done.outcome, Trial))

    @property
    def failed(self) -> tuple[Done, ...]:
        """The trials that did."""
        return tuple(done for done in self.trials if isinstance(done.outcome, Failed))

    @property
    def estimate(self) -> Estimate | None:
        """The mean effect over the seeds that finished; None for fewer than two of them."""
        return _mean([trial.effect for trial in self.finished])

    @property
    def parts(self) -> dict[str, Estimate | float]:
        """What explains the effect: means over the seeds that have it, or the one number there is.

        A number without an interval is from a single seed.
        """
        names = dict.fromkeys(name for trial in self.finished for name in trial.parts)
        values = {n: [t.parts[n] for t in self.finished if n in t.parts] for n in names}
        return {name: _mean(some) or some[0] for name, some in values.items()}

    @property
    def verdict(self) -> Verdict:
        """`supported` or `refuted` where the whole interval lies on one side of the line.

        `none` without an interval; with a failed trial nothing is concluded, for the seeds that
        finished may be those for which the claim is true.
        """
        estimate = self.estimate
        if estimate is None:
            return "none"
        if self.failed:
            return "inconclusive"
        claim = self.statement
        above = -inf if claim.above is None else claim.above
        below = inf if claim.below is None else claim.below
        if above < estimate.low and estimate.high < below:
            return "supported"
        return "refuted" if estimate.high <= above or below <= estimate.low else "inconclusive"

    @property
    def why(self) -> str:
        """Why the verdict is no better, in one sentence; empty where it is one."""
        if self.failed:
            first = self.failed[0]
            return (
                f"{len(self.failed)} of {len(self.trials)} trials failed, the first with seed "
                f"{first.seed}: {first.said.removeprefix('failed: ')}"
            )
        if self.estimate is None:
            return (
                f"no interval and no verdict from {len(self.trials)} seed: give --seeds 2 or more"
            )
        if self.verdict == "inconclusive":
            return "the interval holds the line: more seeds or a larger scale may decide"
        return ""

    @property
    def line(self) -> str:
        """The line that was fixed in advance, in words."""
        return line(self.statement)

    @property
    def seconds(self) -> float:
        """Time of all trials together."""
        return sum(done.seconds for done in self.trials)


def line(statement: Statement) -> str:
    """The line that a claim must cross, in words."""
    above, below = statement.above, statement.below
    if above is not None and below is not None:
        return f"between {above:.4g} and {below:.4g}"
    return f"above {above:.4g}" if above is not None else f"below {below:.4g}"


def outcome_of(result: Trial | Failure) -> Trial | Failed:
    """A trial, or its error as a record."""
    return result if isinstance(result, Trial) else Failed(result.summary, result.traceback)


def _mean(values: list[float]) -> Estimate | None:
    return replicates(values) if len(values) > 1 else None


KNOWN = RECORDS | {kind.__name__: kind for kind in (Statement, Trial, Done, Finding)}


def as_json(record: Done | Finding) -> Any:
    """A record as JSON values."""
    return encode(record)


def from_json(values: Any) -> Any:
    """The record that `as_json` wrote.

    Raises:
        ValueError: If it is none of the laboratory's.
    """
    return decode(values, KNOWN)
