"""What stands behind the routes: the guard, the line before it, and the alarm's state on disk."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

from fastapi import HTTPException

from offmap.attempt import readable
from offmap.guard.guard import Guard
from offmap.guard.serve.batching import Batcher, Closed
from offmap.guard.serve.judging import Drift, Job, Judge, Said
from offmap.guard.serve.limits import LATER, Limits, Room
from offmap.guard.serve.logs import say
from offmap.guard.serve.metrics import Metrics
from offmap.guard.serve.pictures import data_url
from offmap.guard.serve.store import Keeper, Store
from offmap.guard.stream import StreamAlarm

SMALL = 32 * 2**10  # bytes of a body that is decoded at once; larger ones wait for a thread
PICTURES = 4096  # that stay drawn
T = TypeVar("T")


class Service:
    """A guard in service.

    Args:
        guard: The guard.
        name: How clients call it.
        limits: What the service takes on.
        store: Keeps the stream alarm's state; None: it is forgotten when the process ends.
        drift: What the stream alarm means; None: nobody watches the traffic.

    Raises:
        InputError: If the guard fails on a plain input, or the stored state is broken.
    """

    def __init__(
        self, guard: Guard, name: str, limits: Limits, store: Store | None, drift: Drift | None
    ) -> None:
        self.guard, self.name, self.limits, self.drift = guard, name, limits, drift
        self.facts, self.version = guard.facts, guard.facts.model_version
        self.metrics, self.room = Metrics(name, guard.facts), Room(limits)
        self.alarm = None
        if drift is not None:
            self.alarm = StreamAlarm.of(guard.ruler.level, guard.facts.confidence)
        self.judge = Judge(guard, self.alarm, drift or "warn", limits.batch, self.metrics)
        self.batcher = Batcher(self.judge, limits)
        self.keeper = self._kept(store)
        self.stopping = False
        self.picture = lru_cache(PICTURES)(self._drawn)
        self._decoder = ThreadPoolExecutor(1, thread_name_prefix="offmap-decode")
        self._watch()

    def start(self) -> None:
        """Begin to keep the alarm's state."""
        if self.keeper is not None:
            self.keeper.start()
        say("serving", name=self.name, version=self.version, alarm=self.drift or "off")

    def stop(self) -> None:
        """Finish what was accepted, keep the alarm's state for the last time."""
        self.stopping = True
        self.batcher.close()
        self._decoder.shutdown()
        if self.keeper is not None:
            self.keeper.stop()
        say("stopped")

    async def decoded(self, decode: Callable[[], T], size: int) -> T:
        """What `decode` makes of a body of so many bytes; one large body at a time."""
        if size <= SMALL:
            return decode()
        return await asyncio.get_running_loop().run_in_executor(self._decoder, decode)

    async def said(self, job: Job) -> Said:
        """What the guard says of a job.

        Raises:
            HTTPException: 429 or 503, if there is no room, no time, or the service is stopping.
        """
        rows, size = len(job.inputs), job.inputs.numel() * job.inputs.element_size()
        self.room.take(rows=rows, size=size)
        try:
            ticket = self.batcher.submit(job, asyncio.get_running_loop())
        except Closed:
            self.room.give(rows=rows, size=size)
            raise HTTPException(503, "the service is stopping: ask another one", LATER) from None
        ticket.future.add_done_callback(lambda _: self.room.give(rows=rows, size=size))
        waiting = asyncio.wrap_future(ticket.future)
        await asyncio.wait({waiting}, timeout=self.limits.answer_seconds)
        if waiting.done():
            return waiting.result()
        ticket.abandoned = True
        waiting.add_done_callback(lambda late: late.cancelled() or late.exception())
        raise HTTPException(
            503, f"expected an answer within {self.limits.answer_seconds:g} seconds: the service "
            "has too much to do, try again later", LATER,
        )  # fmt: skip

    @property
    def degraded(self) -> str | None:
        """What is wrong although the service answers."""
        return None if self.keeper is None else self.keeper.trouble

    def _kept(self, store: Store | None) -> Keeper | None:
        """The alarm as the store has it, and whoever writes it there from now on."""
        alarm = self.alarm
        if store is None or alarm is None:
            return None
        state = store.read(self.version)
        if state is not None:
            readable(lambda: alarm.restore(state), f"{store.path}: the state of the alarm")
        return Keeper(store, self.version, alarm.text, self.metrics.unkept.inc)

    def _drawn(self, place: int) -> str | None:
        """The picture at a place of the atlas as a PNG in a data URL."""
        pictures = self.guard.atlas.pictures
        return data_url(pictures[place]) if len(pictures) else None

    def _watch(self) -> None:
        watch, alarm, keeper = self.metrics.watch, self.alarm, self.keeper
        watch("queue_rows", "Inputs accepted and not yet answered", lambda: self.room.rows)
        watch("queue_bytes", "Bytes of bodies and inputs held", lambda: self.room.bytes)
        if alarm is not None:
            watch(
                "drift_log_wealth", "Log of the test martingale's wealth", lambda: alarm.log_wealth
            )
            watch("drift_alarm", "1 while the stream alarm is on", lambda: float(alarm.on))
            watch("drift_inputs", "Inputs that the alarm has seen", lambda: alarm.count)
        if keeper is not None:
            watch(
                "state_kept", "1 if the alarm's state could be written",
                lambda: float(keeper.trouble is None),
            )  # fmt: skip
