"""Logs as lines of JSON. They say what happened, never with what input.

An error is its type and the lines of code it passed, without its message: messages quote values.
"""

import json
import logging
import time
import traceback
from types import TracebackType
from typing import Any

NAME = "offmap.guard.serve"
logger = logging.getLogger(NAME)


class Lines(logging.Formatter):
    """One line of JSON a record: time (UTC), level, event, and the fields it was given."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{stamp}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": " ".join(record.getMessage().split()),
        }
        line |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            line["where"] = _places(record.exc_info[2])
        return json.dumps(line, ensure_ascii=True)


def say(event: str, level: int = logging.INFO, **fields: object) -> None:
    """Log an event with its fields: numbers and names of our own, nothing that a client sent."""
    if logger.isEnabledFor(level):
        logger.log(level, event, extra={"fields": fields})


def settings(level: str = "INFO") -> dict[str, Any]:
    """Logging for the process, as `logging.config.dictConfig` takes it: JSON lines on stderr."""
    plain = {"handlers": ["lines"], "level": level, "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": f"{__name__}.Lines"}},
        "handlers": {"lines": {"class": "logging.StreamHandler", "formatter": "lines"}},
        "loggers": {NAME: plain, "uvicorn": plain, "uvicorn.access": plain | {"level": "CRITICAL"}},
    }


def _places(trace: TracebackType | None) -> list[str]:
    return [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(trace)]
