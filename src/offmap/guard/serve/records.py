"""What `/answer`, `/guard` and `/alarm` take and give, as JSON."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from offmap.estimate import Estimate
from offmap.guard.answer import Answer
from offmap.guard.facts import Facts
from offmap.guard.serve.limits import Limits

Reason = Literal["accepted", "contract", "off_map", "uncertain", "disputed", "drift"]


class NeighborRecord(BaseModel):
    """A training example near to an input; `picture` is a PNG in a data URL."""

    row: int
    distance: float | None
    target: int | None
    label: str | None
    picture: str | None


class AnswerRecord(BaseModel):
    """A prediction, or a refusal with its reason."""

    prediction: int | list[float | None] | None
    label: str | None
    accepted: bool
    p_value: float | None
    reason: Reason
    detail: str
    score: float | None
    neighbors: list[NeighborRecord]
    model_version: str


class AnswerResponse(BaseModel):
    """An answer for each input, in order; `alarm` says whether the stream alarm is on."""

    model_name: str
    model_version: str
    alarm: bool
    answers: list[AnswerRecord]


class Interval(BaseModel):
    """A number with its interval at 95 %."""

    value: float
    low: float
    high: float


class DomainRecord(BaseModel):
    """The contract of an input."""

    shape: list[int]
    dtype: str
    low: float | None
    high: float | None
    kind: Literal["image", "vector", "tokens"]


class GuardRecord(BaseModel):
    """What is served, and what it promises."""

    name: str
    model_version: str
    offmap: str
    task: str
    domain: DomainRecord
    class_names: list[str] | None
    scores: list[str]
    alpha: float
    per_class: bool
    confidence: float | None
    risk: float | None
    disputed: float | None
    promise: Interval
    accepted_risk: Interval | None
    counts: dict[str, int]
    drift: Literal["refuse", "warn", "off"]
    rows: int = Field(description="Inputs that one request may hold")
    body_bytes: int = Field(description="Bytes that one body may have")


class AlarmRecord(BaseModel):
    """The stream alarm: whether traffic as a whole has left the map."""

    on: bool
    inputs: int = Field(description="Inputs that it has seen")
    log_wealth: float = Field(description="Log of the evidence that traffic has left the map")
    threshold: float = Field(description="Log of the evidence at which the alarm goes on")
    false_alarm: float = Field(description="Chance, over all time, that it goes on for nothing")


def guard_record(name: str, facts: Facts, drift: str | None, limits: Limits) -> GuardRecord:
    """What is served, and what it promises."""
    domain = facts.domain
    return GuardRecord(
        name=name, model_version=facts.model_version, offmap=facts.version, task=facts.task,
        domain=DomainRecord(
            shape=list(domain.shape), dtype=str(domain.dtype).removeprefix("torch."),
            low=domain.low, high=domain.high, kind=domain.kind,
        ),
        class_names=None if facts.class_names is None else list(facts.class_names),
        scores=list(facts.scores), alpha=facts.alpha, per_class=facts.per_class,
        confidence=facts.confidence, risk=facts.risk, disputed=facts.disputed,
        promise=_interval(facts.promise),
        accepted_risk=None if facts.accepted_risk is None else _interval(facts.accepted_risk),
        counts=dict(facts.counts), drift=drift or "off",  # type: ignore[arg-type]
        rows=limits.rows, body_bytes=limits.body_bytes,
    )  # fmt: skip


def answer_record(answer: Answer, pictures: list[str | None]) -> dict[str, Any]:
    """An answer as an `AnswerRecord`, in plain JSON values; one picture for each neighbor."""
    return {
        "prediction": answer.prediction,
        "label": answer.label,
        "accepted": answer.accepted,
        "p_value": answer.p_value,
        "reason": answer.reason,
        "detail": answer.detail,
        "score": answer.score,
        "neighbors": [
            {
                "row": near.row, "distance": near.distance, "target": near.target,
                "label": near.label, "picture": picture,
            }
            for near, picture in zip(answer.neighbors, pictures, strict=True)
        ],
        "model_version": answer.model_version,
    }  # fmt: skip


def _interval(estimate: Estimate) -> Interval:
    return Interval(value=estimate.value, low=estimate.low, high=estimate.high)
