"""The work, done here, one task after another."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

import torch

from offmap.attempt import attempt
from offmap.engine import memory
from offmap.engine.workload import Books, Workload


def run_local(ledger: Books, work: Workload, *, threads: int) -> None:
    """Do every task that is left, in order.

    Args:
        ledger: The books.
        work: What the tasks have in common.
        threads: What each task computes with: part of the numbers, so the same everywhere.
    """
    with computing_with(threads):
        for task in ledger.todo:
            ledger.watcher.start(task)
            memory.forget_peak()
            begin = perf_counter()
            result = ledger.blocked(task)
            if result is None:
                results = ledger.inputs(task)
                result = attempt(lambda task=task, got=results: work.perform(task, got))
            seconds = perf_counter() - begin
            ledger.finish(task, result, seconds, max(0, memory.peak() - memory.BASELINE))


@contextmanager
def computing_with(threads: int) -> Iterator[None]:
    """Compute with so many threads; as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
