"""The one place where somebody else's error becomes data instead of a traceback."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


class InputError(ValueError):
    """What the user gave cannot be used: one sentence that says what was expected, got, and to do."""


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
    except Exception as error:
        text = " ".join(str(error).split()) or "no message"
        return Failure(error, f"{type(error).__name__}: {text}", traceback.format_exc())
