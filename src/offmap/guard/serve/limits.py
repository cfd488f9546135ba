"""What a client may cost: bytes, rows, time. Everything that waits is counted, and bounded."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields

from fastapi import HTTPException, Request
from starlette.requests import ClientDisconnect

from offmap.attempt import InputError

HANG_UP = {"connection": "close"}  # what is left of the body is not worth reading
LATER = {"retry-after": "1"}


@dataclass(frozen=True, slots=True)
class Limits:
    """How much the service takes on before it says no.

    Args:
        body_bytes: Of one body; it is counted while it arrives.
        rows: Inputs in one request.
        batch: Inputs judged at once.
        gather_seconds: A batch waits until nobody has come for so long, at most five times.
        queue_rows: Inputs accepted and not yet answered.
        queue_bytes: Bytes of bodies and inputs held for them.
        body_seconds: In which a body has to arrive.
        header_seconds: In which the head of a request has to arrive, and a connection may idle.
        answer_seconds: In which a request is answered, or given up.
        connections: Open at once.
        stop_seconds: That accepted work is given when the service is stopped.

    Raises:
        InputError: If a limit is not positive, or one request may hold more than the queue.
    """

    body_bytes: int = 16 * 2**20
    rows: int = 1024
    batch: int = 64
    gather_seconds: float = 0.002
    queue_rows: int = 4096
    queue_bytes: int = 256 * 2**20
    body_seconds: float = 20.0
    header_seconds: float = 10.0
    answer_seconds: float = 60.0
    connections: int = 256
    stop_seconds: float = 30.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value < 0 or (value == 0 and field.name != "gather_seconds"):
                raise InputError(f"expected a positive limit {field.name}, got {value}")
        if self.rows > self.queue_rows or self.body_bytes > self.queue_bytes:
            raise InputError(
                "expected a queue that holds at least one request, got "
                f"{self.queue_rows} rows and {self.queue_bytes} bytes for requests of "
                f"{self.rows} rows and {self.body_bytes} bytes"
            )


class Room:
    """How many rows and bytes are held at the moment, against the most that may be.

    Args:
        limits: Says how many.
    """

    def __init__(self, limits: Limits) -> None:
        self.most_rows, self.most_bytes = limits.queue_rows, limits.queue_bytes
        self.rows = self.bytes = 0
        self._lock = threading.Lock()

    def take(self, *, rows: int = 0, size: int = 0) -> None:
        """Hold so many rows and bytes more.

        Raises:
            HTTPException: 429, if there is no room for them.
        """
        with self._lock:
            if self.rows + rows <= self.most_rows and self.bytes + size <= self.most_bytes:
                self.rows += rows
                self.bytes += size
                return
        raise HTTPException(
            429, "the queue is full: expected fewer requests at once, try again later", dict(LATER)
        )

    def give(self, *, rows: int = 0, size: int = 0) -> None:
        """Let go of them."""
        with self._lock:
            self.rows -= rows
            self.bytes -= size


@asynccontextmanager
async def body(request: Request, limits: Limits, room: Room) -> AsyncIterator[bytearray]:
    """The body of a request; its bytes count against the room until the block ends.

    Raises:
        HTTPException: 400, 408, 413, 415 or 429, if it is too long, too slow, packed, cut off, or
            there is no room.
    """
    _check_head(request, limits)
    held = bytearray()
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for chunk in request.stream():
                if len(held) + len(chunk) > limits.body_bytes:
                    raise HTTPException(413, _too_long(limits), HANG_UP)
                room.take(size=len(chunk))
                held += chunk
        yield held
    except TimeoutError:
        raise HTTPException(
            408, f"expected the body within {limits.body_seconds:g} seconds", HANG_UP
        ) from None
    except ClientDisconnect:
        raise HTTPException(400, "expected a whole body, got a part of one") from None
    finally:
        room.give(size=len(held))


def _check_head(request: Request, limits: Limits) -> None:
    """Refuse a body before it is read.

    Raises:
        HTTPException: 413 or 415, if it says itself that it is too long, or packed.
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise HTTPException(415, "expected a body that is not compressed: send it as it is")
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced[:20]) > limits.body_bytes:
        raise HTTPException(413, _too_long(limits), HANG_UP)


def _too_long(limits: Limits) -> str:
    return f"expected a body of at most {limits.body_bytes:,} bytes, got a longer one"
