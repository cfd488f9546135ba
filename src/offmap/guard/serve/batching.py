"""One thread judges; requests that wait at the same time are judged together."""

import threading
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from offmap.attempt import Failure, attempt
from offmap.guard.serve.judging import Job, Said
from offmap.guard.serve.limits import Limits

PAUSES = 5  # of `gather_seconds`, at most, while others keep coming


class Ticket:
    """A job that waits, and where its result will be.

    Args:
        job: The job.
        loop: Where somebody waits for the result; None: wherever.
    """

    __slots__ = ("abandoned", "future", "job", "loop")

    def __init__(self, job: Job, loop: AbstractEventLoop | None) -> None:
        self.job, self.loop = job, loop
        self.future: Future[Said] = Future()
        self.abandoned = False  # nobody waits any more: skip it


class Closed(RuntimeError):  # noqa: N818 - how the line says that it takes no more
    """The service is stopping."""


class Batcher:
    """A line of jobs and the thread that serves it.

    A batch gathers until nobody has come for `gather_seconds`, it is full, or `PAUSES` of these are
    over: judging many inputs costs little more than judging one. While one batch is judged the next
    one gathers by itself. How many may wait is bounded by whoever puts jobs in (`limits.Room`).

    Args:
        judge: From jobs to what is said of each. Runs in the thread, one call at a time.
        limits: Rows of a batch, and how long it gathers.
    """

    def __init__(self, judge: Callable[[Sequence[Job]], list[Said]], limits: Limits) -> None:
        self._judge, self._limits = judge, limits
        self._line: deque[Ticket] = deque()
        self._rows = 0  # in the line
        self._state = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None

    def submit(self, job: Job, loop: AbstractEventLoop | None = None) -> Ticket:
        """Put a job in line.

        Args:
            job: The job.
            loop: Where somebody waits for the result; None: wherever.

        Raises:
            Closed: If the service is stopping.
        """
        ticket = Ticket(job, loop)
        with self._state:
            if self._closing:
                raise Closed("the service is stopping")
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="offmap-judge", daemon=True)
                self._thread.start()
            self._line.append(ticket)
            before, self._rows = self._rows, self._rows + len(job.inputs)
            if not before or self._rows >= self._limits.batch:  # else the thread looks by itself
                self._state.notify()
        return ticket

    def close(self) -> None:
        """Take no more, finish what is in line, and end the thread."""
        with self._state:
            self._closing = True
            self._state.notify()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        while batch := self._next():
            said = attempt(lambda jobs=[ticket.job for ticket in batch]: self._judge(jobs))
            results = [said.error] * len(batch) if isinstance(said, Failure) else said
            for loop in {ticket.loop for ticket in batch}:
                mine = [pair for pair in zip(batch, results, strict=True) if pair[0].loop is loop]
                if loop is None or loop.is_closed():
                    _tell(mine)
                else:  # all at once: who is told first may ask again, and would be judged alone
                    loop.call_soon_threadsafe(_tell, mine)

    def _next(self) -> list[Ticket]:
        """The jobs of the next batch, at least one; none once the line is closed and empty."""
        while True:
            with self._state:
                while not self._line and not self._closing:
                    self._state.wait()
                self._gather()
                batch = self._taken()
                if batch or (self._closing and not self._line):
                    return batch

    def _gather(self) -> None:
        """Wait until the batch is full, nobody comes any more, or its time is over."""
        pause = self._limits.gather_seconds
        for _ in range(PAUSES):
            rows = self._rows
            if rows >= self._limits.batch or self._closing:
                return
            self._state.wait(pause)
            if self._rows == rows:
                return

    def _taken(self) -> list[Ticket]:
        batch: list[Ticket] = []
        rows = 0
        most = self._limits.batch
        while self._line and (not batch or rows + len(self._line[0].job.inputs) <= most):
            ticket = self._line.popleft()
            self._rows -= len(ticket.job.inputs)
            if ticket.abandoned:
                ticket.future.cancel()
            else:
                batch.append(ticket)
                rows += len(ticket.job.inputs)
        return batch


def _tell(results: Sequence[tuple[Ticket, Said | Exception]]) -> None:
    for ticket, result in results:
        if isinstance(result, Exception):
            ticket.future.set_exception(result)
        else:
            ticket.future.set_result(result)
