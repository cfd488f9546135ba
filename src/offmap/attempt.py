"""The one place where somebody else's error becomes data instead of a traceback."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


class InputError(ValueError):
    """What the user gave cannot be used: one sentence of what was expected, got, and to do."""


class CannotMeasure(ValueError):  # noqa: N818 - an outcome with a reason, not an error
    """This reading has no meaning on the evidence at hand; the message says why."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An error that was caught: `summary` for a person, `traceback` for an engineer."""

    error: Exception
    summary: str
    traceback: str


def attempt(call: Callable[[], T]) -> T | Failure:
    """What `call` returns, or the error that it raised. Interrupts are never caught."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - the only one: errors become data here
        text = " ".join(str(error).split()) or "no message"
        return Failure(error, f"{type(error).__name__}: {text}", traceback.format_exc())


def measurable(call: Callable[[], T], refusal: type[Exception], why: str) -> T:
    """What `call` returns. An error of the kind `refusal` becomes that of a measure.

    Raises:
        CannotMeasure: If it raises a `refusal`; `why` stands before its message.
    """
    try:
        return call()
    except refusal as error:
        raise CannotMeasure(f"{why}: {error}") from error


def readable(call: Callable[[], T], what: str, done: str = "read") -> T:
    """What `call` reads, or a refusal that names `what` and gives the reason in one sentence.

    Raises:
        InputError: If `call` raises anything.
    """
    result = attempt(call)
    if not isinstance(result, Failure):
        return result
    if isinstance(result.error, InputError):
        raise result.error
    raise InputError(f"{what} cannot be {done}: {result.summary}") from result.error
