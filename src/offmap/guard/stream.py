"""The stream alarm: has traffic as a whole left the map?

Each input alone may pass while all of them together say that the world has changed. A test
martingale gathers that evidence (`numerics.martingale`). It needs p-values that hold given this
calibration set and at every level at once; the guard's own promise less. They are made of the
guard's by a rising map from its levels to the stricter ones (`numerics.conformal.levels`), which
keeps the order of the inputs: what lies between two of the guard's levels is mapped between theirs.
"""

import json
import math
import threading
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from jaxtyping import Float, Float64, Int
from torch import Tensor

from offmap.guard.facts import shared
from offmap.numerics.conformal import levels
from offmap.numerics.martingale import BETS, Wealth, alarmed, updated

FALSE_ALARM = 0.01  # chance over all time that the alarm goes on for nothing
FORMAT = 1  # of the state


@dataclass(frozen=True, slots=True)
class State:
    """What an alarm has to remember.

    Args:
        wealth: Of the test martingale.
        starts: How often it began anew; each start takes its share of the promise.
    """

    wealth: Wealth = field(default_factory=Wealth)
    starts: int = 1


class StreamAlarm:
    """Watches the p-values of a stream of inputs. Many threads may ask and show.

    Half of the risk goes to the calibration set (it may be an unlucky one), half to the stream.

    Args:
        maps: For each group of the guard its levels and the stricter ones, both rising.
        risk: Chance over all time that the alarm goes on although nothing has changed.
    """

    def __init__(
        self,
        maps: Sequence[tuple[Float64[Tensor, " _"], Float64[Tensor, " _"]]],
        risk: float = FALSE_ALARM,
    ) -> None:
        if not 0 < risk < 1:
            raise ValueError(f"expected 0 < risk < 1, got {risk}")
        self._maps = [(given.tolist(), strict.tolist()) for given, strict in maps]
        self._risk = risk
        self._lock = threading.Lock()
        self.state = State()

    @classmethod
    def of(
        cls,
        level: Float64[Tensor, "g m"],
        confidence: float | None = None,
        risk: float = FALSE_ALARM,
    ) -> "StreamAlarm":
        """The alarm for the traffic of a guard, whose calibration it shares.

        Args:
            level: The levels of the guard's p-values (of its `Ruler`), a row for each group.
            confidence: The certainty that they were made for; None: on average.
            risk: Chance over all time that the alarm goes on although nothing has changed.
        """
        maps, rows = [], level.cpu()
        confidence = shared(confidence, len(rows))
        for row in rows:
            count = _count(row.min().item(), confidence)
            certainty = 1 - risk / 2 / len(rows)  # in every group at once
            maps.append(
                (
                    levels(count, confidence=confidence),
                    levels(count, confidence=certainty, simultaneous=True),
                )
            )
        return cls(maps, risk)

    def update(
        self,
        p_values: Float[Tensor, " n"] | Sequence[float],
        groups: Int[Tensor, " n"] | Sequence[int] | None = None,
    ) -> None:
        """Take note of inputs, in their order.

        Args:
            p_values: The guard's.
            groups: Their predicted classes; only asked for where the guard's promise is by class.

        Raises:
            ValueError: If a p-value is not in [0, 1].
        """
        strict = self.strict(p_values, groups)
        with self._lock:
            self.state = replace(self.state, wealth=updated(self.state.wealth, strict))

    def strict(
        self,
        p_values: Float[Tensor, " n"] | Sequence[float],
        groups: Int[Tensor, " n"] | Sequence[int] | None = None,
    ) -> list[float]:
        """The p-values that hold given the calibration set, at every level at once.

        Raises:
            ValueError: If a p-value is not in [0, 1].
        """
        if len(self._maps) == 1 or groups is None:
            return [_interpolated(p, *self._maps[0]) for p in _listed(p_values)]
        pairs = zip(_listed(p_values), _listed(groups), strict=True)
        return [_interpolated(p, *self._maps[group]) for p, group in pairs]

    @property
    def on(self) -> bool:
        """Whether the evidence has ever been enough since the last start."""
        return alarmed(self.state.wealth, self._risk / 2)

    @property
    def count(self) -> int:
        """Inputs seen since the last start."""
        return self.state.wealth.count

    @property
    def log_wealth(self) -> float:
        """Log of the evidence that traffic has left the map."""
        return self.state.wealth.now

    @property
    def threshold(self) -> float:
        """Log of the evidence at which the alarm goes on."""
        return -math.log(self._risk / 2)

    @property
    def false_alarm(self) -> float:
        """Chance over all time, and all starts, that the alarm goes on for nothing."""
        return min(1.0, self._risk / 2 * (1 + self.state.starts))

    @property
    def sentence(self) -> str:
        """Why the alarm is on, in words."""
        wealth = self.state.wealth
        return (
            f"traffic as a whole has left the map: within {wealth.peak_at} inputs the evidence "
            f"reached 10^{wealth.peak / math.log(10):.1f} to 1 (alarm at "
            f"10^{self.threshold / math.log(10):.1f})"
        )

    def reset(self) -> None:
        """Start anew, after the cause of an alarm was found."""
        with self._lock:
            self.state = State(starts=self.state.starts + 1)

    def text(self) -> str:
        """The state as JSON."""
        return json.dumps({"format": FORMAT} | asdict(self.state))

    def restore(self, text: str) -> None:
        """Go on from a state in JSON.

        Raises:
            ValueError: If it is none, or of another format.
        """
        given = json.loads(text)
        if not isinstance(given, dict) or given.get("format") != FORMAT:
            raise ValueError(f"expected the state of a stream alarm of format {FORMAT}")
        with self._lock:
            self.state = State(_wealth(given["wealth"]), int(given["starts"]))


def _wealth(given: Mapping[str, Any]) -> Wealth:
    """A state of the martingale.

    Raises:
        ValueError: If its numbers are none.
    """
    stakes = tuple(float(stake) for stake in given["stakes"])
    numbers = [*stakes, float(given["now"]), float(given["peak"])]
    if len(stakes) != len(BETS) or not all(math.isfinite(number) for number in numbers):
        raise ValueError(f"expected {len(BETS)} finite stakes and a finite wealth")
    return Wealth(
        int(given["count"]), stakes, float(given["now"]), float(given["peak"]),
        int(given["peak_at"]),
    )  # fmt: skip


def _listed(numbers: Tensor | Sequence[Any]) -> Sequence[Any]:
    # number by number: batches are small, and tensors of a few numbers only add calls
    return numbers.tolist() if isinstance(numbers, Tensor) else numbers


def _interpolated(p: float, given: list[float], strict: list[float]) -> float:
    """A p-value through the map that is straight between levels.

    Raises:
        ValueError: If it is not in [0, 1].
    """
    if not 0 <= p <= 1:
        raise ValueError(f"expected p-values in [0, 1], got {p}")
    right = bisect_right(given, p)
    if right in (0, len(given)):
        return strict[min(right, len(given) - 1)]
    left = right - 1
    slope = (strict[right] - strict[left]) / (given[right] - given[left])
    return strict[left] + slope * (p - given[left])


def _count(least: float, confidence: float | None) -> int:
    """Calibration examples behind a row of levels, from the smallest of them.

    It is 1/(n+1) on average over calibration sets, and 1 - (1 - confidence)^(1/n) given one.
    """
    if confidence is None:
        return round(1 / least) - 1
    return round(math.log1p(-confidence) / math.log1p(-least))
