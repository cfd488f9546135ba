"""What happens to a batch: the guard judges it, the stream alarm takes note, drift refuses."""

import logging
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, TypeVar

import torch
from torch import Tensor

from offmap.attempt import Failure, InputError, attempt
from offmap.guard.answer import Answer, answers, drifted
from offmap.guard.facts import REASONS
from offmap.guard.guard import CONTRACT, DRIFT, Guard
from offmap.guard.serve.logs import say
from offmap.guard.serve.metrics import Metrics
from offmap.guard.stream import StreamAlarm
from offmap.guard.verdict import Verdict
from offmap.passes import device_of

Drift = Literal["refuse", "warn"]
Part = TypeVar("Part")


class Job(NamedTuple):
    """Inputs that belong to one request.

    Args:
        inputs: [n, *shape], in the domain's shape and type.
        words: Whether answers with neighbors are wanted, or the verdict alone.
        counted: Whether they are traffic, which the stream alarm watches.
    """

    inputs: Tensor
    words: bool = False
    counted: bool = True


class Said(NamedTuple):
    """What is said of a job: one of the two, and whether the stream alarm was on."""

    verdict: Verdict | None
    answers: list[Answer] | None
    alarm: bool


class Judge:
    """Guard and stream alarm behind one call.

    Args:
        guard: The guard.
        alarm: Watches the traffic; None: nobody does.
        drift: What the alarm means to inputs that would be accepted.
        batch: Rows judged at once.
        metrics: Where to count.

    Raises:
        InputError: If the guard fails on a plain input.
    """

    def __init__(
        self, guard: Guard, alarm: StreamAlarm | None, drift: Drift, batch: int, metrics: Metrics
    ) -> None:
        self.guard, self.alarm, self.drift = guard, alarm, drift
        self.batch, self.metrics = batch, metrics
        self.device = device_of(guard)
        self.broken = self._rehearsed()

    def __call__(self, jobs: Sequence[Job]) -> list[Said]:
        """What is said of each job. Jobs of a kind are judged together."""
        said: list[Said | None] = [None] * len(jobs)
        for words in (False, True):
            places = [place for place, job in enumerate(jobs) if job.words is words]
            if not places:
                continue
            mine = [jobs[place] for place in places]
            rows = [len(job.inputs) for job in mine]
            inputs = mine[0].inputs if len(mine) == 1 else torch.cat([job.inputs for job in mine])
            counted = [job.counted for job in mine for _ in range(len(job.inputs))]
            self.metrics.batches.observe(len(inputs))
            done = (
                self._answered(inputs, counted, rows)
                if words
                else self._judged(inputs, counted, rows)
            )
            for place, one in zip(places, done, strict=True):
                said[place] = one
        return [one for one in said if one is not None]

    def _judged(self, inputs: Tensor, counted: list[bool], rows: list[int]) -> list[Said]:
        parts = [
            part
            for piece in inputs.split(self.batch)
            for part in _safely(self._verdict, piece, self._broken_verdict)
        ]
        verdict = _joined(parts)
        p_values = verdict.p_value.tolist()
        alarm = self._watch(p_values, verdict.prediction.tolist(), counted)
        if alarm and self.drift == "refuse":
            reason = torch.where(verdict.accepted, DRIFT, verdict.reason).to(torch.int8)
            verdict = verdict._replace(reason=reason, accepted=reason == 0)
        self._count(verdict.reason.tolist(), p_values)
        pieces = zip(*(column.split(rows) for column in verdict), strict=True)
        return [Said(Verdict(*piece), None, alarm) for piece in pieces]

    def _answered(self, inputs: Tensor, counted: list[bool], rows: list[int]) -> list[Said]:
        parts = [
            part
            for piece in inputs.split(self.batch)
            for part in _safely(lambda some: answers(self.guard, some), piece, self._broken_answer)
        ]
        given = [answer for part in parts for answer in part]
        p_values = [torch.nan if one.p_value is None else one.p_value for one in given]
        classes = [one.prediction if isinstance(one.prediction, int) else -1 for one in given]
        alarm = self._watch(p_values, classes, counted)
        if alarm and self.drift == "refuse" and self.alarm is not None:
            given = [drifted(one, self.alarm.sentence) for one in given]
        self._count([REASONS.index(one.reason) for one in given], p_values)
        ends = torch.tensor(rows).cumsum(0).tolist()
        return [
            Said(None, given[end - count : end], alarm)
            for end, count in zip(ends, rows, strict=True)
        ]

    def _watch(self, p_values: list[float], classes: list[int], counted: list[bool]) -> bool:
        """Show the alarm the traffic; whether it is on then."""
        if self.alarm is None:
            return False
        before = self.alarm.on
        # what breaks the contract has no p-value
        kept = [row for row, p in enumerate(p_values) if counted[row] and p == p]
        if kept:
            self.alarm.update([p_values[row] for row in kept], [classes[row] for row in kept])
        if self.alarm.on and not before:
            say("the stream alarm is on", logging.WARNING, inputs=self.alarm.count)
        return self.alarm.on

    def _count(self, reasons: list[int], p_values: list[float]) -> None:
        for reason in set(reasons):
            self.metrics.verdicts.labels(REASONS[reason]).inc(reasons.count(reason))
        for p_value in p_values:
            if p_value == p_value:
                self.metrics.p_values.observe(p_value)

    def _verdict(self, inputs: Tensor) -> Verdict:
        with torch.inference_mode():
            return Verdict(*(part.cpu() for part in self.guard(inputs.to(self.device))))

    def _rehearsed(self) -> Verdict:
        """The verdict on one input that the network fails on; the guard is warm afterwards.

        Raises:
            InputError: If it fails on a plain input.
        """
        domain = self.guard.facts.domain
        plain = torch.full((1, *domain.shape), domain.low or 0, dtype=domain.dtype)
        for rows in (self.batch, 1):
            tried = attempt(lambda rows=rows: self._verdict(plain.expand(rows, *domain.shape)))
            if isinstance(tried, Failure):
                raise InputError(f"the guard fails on a plain input: {tried.summary}")
        found = self._verdict(plain)
        none = -1 if not found.prediction.is_floating_point() else torch.nan
        nan = torch.full((1,), torch.nan, dtype=torch.double)
        return Verdict(
            torch.full_like(found.prediction, none), nan, torch.tensor([False]),
            torch.tensor([CONTRACT], dtype=torch.int8), nan,
        )  # fmt: skip

    def _broken_verdict(self, error: Exception) -> Verdict:
        self._note(error)
        return self.broken

    def _broken_answer(self, error: Exception) -> list[Answer]:
        self._note(error)
        detail = f"the network fails on this input ({type(error).__name__})"
        return [refused(detail, self.guard.facts.model_version)]

    def _note(self, error: Exception) -> None:
        self.metrics.failures.inc()
        say("the network fails on an input", logging.ERROR, error=type(error).__name__)


def refused(detail: str, version: str) -> Answer:
    """The answer to an input that cannot be judged."""
    return Answer(None, None, False, None, "contract", detail, (), None, version)


def _safely(
    run: Callable[[Tensor], Part], inputs: Tensor, broken: Callable[[Exception], Part]
) -> list[Part]:
    """`run` on all rows; where it fails on each half, and so on: one bad row spoils only itself."""
    done = attempt(lambda: run(inputs))
    if not isinstance(done, Failure):
        return [done]
    if len(inputs) == 1:
        return [broken(done.error)]
    return [part for half in inputs.chunk(2) for part in _safely(run, half, broken)]


def _joined(parts: Sequence[Verdict]) -> Verdict:
    return parts[0] if len(parts) == 1 else Verdict(*map(torch.cat, zip(*parts, strict=True)))
