"""The routes of offmap's own: answers with reasons and neighbors, the guard's facts, the alarm."""

from functools import partial
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic_core import to_json

from offmap.attempt import InputError
from offmap.guard.answer import Answer
from offmap.guard.serve.decoding import FORMATS, Items, array_of, fitted, items, picture
from offmap.guard.serve.documents import JSON, REFUSALS, good, taking
from offmap.guard.serve.judging import Job, refused
from offmap.guard.serve.limits import body
from offmap.guard.serve.protocol import Problem, Question, parsed
from offmap.guard.serve.records import (
    AlarmRecord,
    AnswerResponse,
    GuardRecord,
    answer_record,
    guard_record,
)  # fmt: skip
from offmap.guard.serve.service import Service

NPY = "application/x-npy"


def routes(service: Service) -> APIRouter:
    """The routes, behind which a service stands."""
    router = APIRouter(tags=["offmap"])
    kinds = [NPY, *(FORMATS if service.facts.domain.kind == "image" else ())]

    @router.post(
        "/answer",
        response_class=Response,
        responses=REFUSALS | good(AnswerResponse, "An answer for each input"),
        openapi_extra=taking({JSON: Question} | dict.fromkeys(kinds)),
    )
    async def answer(request: Request, counted: bool = True, pictures: bool = True) -> Response:
        """Answers with reasons and the nearest training examples.

        - `counted`: whether the inputs are traffic, which the stream alarm watches.
        - `pictures`: whether neighbors come with their pictures.
        """
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        async with body(request, service.limits, service.room) as data:
            decode = partial(_items, service, data, kind)
            given = await service.decoded(decode, len(data))
        said = None
        if given.places:
            said = await service.said(Job(given.inputs, words=True, counted=counted))
        for _ in given.misfits:
            service.metrics.verdicts.labels("contract").inc()
        answers = dict(zip(given.places, (said.answers or []) if said else [], strict=True))
        for place, detail in given.misfits.items():
            answers[place] = refused(detail, service.version)
        content = {
            "model_name": service.name,
            "model_version": service.version,
            "alarm": said.alarm if said else service.alarm is not None and service.alarm.on,
            "answers": [_record(service, answers[k], pictures) for k in range(given.total)],
        }
        return Response(to_json(content, inf_nan_mode="null"), media_type=JSON)

    @router.get("/guard")
    async def guard() -> GuardRecord:
        """What is served, and what it promises."""
        return guard_record(service.name, service.facts, service.drift, service.limits)

    @router.get("/alarm", responses={404: {"model": Problem, "description": "Nobody watches"}})
    async def alarm() -> AlarmRecord:
        """The stream alarm."""
        return _alarm(service)

    @router.delete("/alarm", responses={404: {"model": Problem, "description": "Nobody watches"}})
    async def restart() -> AlarmRecord:
        """Start the stream alarm anew, after the cause of an alarm was found."""
        if service.alarm is not None:
            service.alarm.reset()
        return _alarm(service)

    return router


def _items(service: Service, data: bytearray, kind: str) -> Items:
    """The inputs in a body.

    Raises:
        HTTPException: 415, if it is of another type.
        InputError: If it is not what its type says, holds none, or too many.
    """
    domain, most = service.facts.domain, service.limits.rows
    if kind == JSON:
        rows = parsed(Question, data).inputs
        _check_count(len(rows), most)
        return items(rows, domain)
    if kind == NPY:
        array = array_of(data)
        if array.shape != domain.shape and array.ndim:
            _check_count(len(array) if array.ndim > len(domain.shape) else 1, most)
        inputs = fitted(array, domain)
    elif kind in FORMATS:
        inputs = picture(data, kind, domain)
    else:
        raise HTTPException(415, f"expected a body of type {JSON}, {NPY}, {', '.join(FORMATS)}")
    _check_count(len(inputs), most)
    return Items(inputs, tuple(range(len(inputs))), {})


def _check_count(rows: int, most: int) -> None:
    """Refuse a request without inputs, or with too many.

    Raises:
        InputError: If it is one.
    """
    if not 1 <= rows <= most:
        raise InputError(f"expected 1 to {most} inputs in a request, got {rows}")


def _record(service: Service, answer: Answer, pictures: bool) -> dict[str, Any]:
    drawn = [service.picture(near.place) if pictures else None for near in answer.neighbors]
    return answer_record(answer, drawn)


def _alarm(service: Service) -> AlarmRecord:
    alarm = service.alarm
    if alarm is None:
        raise HTTPException(404, "nobody watches the traffic: the service was started without")
    return AlarmRecord(
        on=alarm.on, inputs=alarm.count, log_wealth=alarm.log_wealth, threshold=alarm.threshold,
        false_alarm=alarm.false_alarm,
    )  # fmt: skip
