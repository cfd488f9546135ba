"""The same work on a Ray cluster: one that runs already, or one that is started here."""

import os
import site
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import ray
from ray import cloudpickle
from torch import Tensor

from offmap.attempt import Failure, InputError, attempt
from offmap.engine import memory
from offmap.engine.graph import Task
from offmap.engine.local import computing_with
from offmap.engine.workload import Books, Workload
from offmap.table import Table, TensorTable

RETRIES = 4  # of a task that was lost with its worker or node
Columns = Mapping[str, Table]


def run_ray(ledger: Books, work: Workload, *, threads: int, address: str = "ray") -> None:
    """Do every task that is left on a cluster; the numbers are those of the local engine.

    What tasks have in common (model and data) is put into the object store once, from where each
    node takes one copy.
    A task whose worker or node is lost is done again elsewhere.

    Args:
        ledger: The books, kept here.
        work: What the tasks have in common.
        threads: CPUs that each task asks for and computes with.
        address: `ray`, or `ray://host:port`.

    Raises:
        InputError: If no cluster answers there.
    """
    started = not ray.is_initialized()
    if started:
        where = None if address == "ray" else address
        cpus = None if where else _cpus(threads)
        found = attempt(lambda: ray.init(address=where, num_cpus=cpus, log_to_driver=False))
        if isinstance(found, Failure):
            raise InputError(f"expected a Ray cluster for --engine {address}, got {found.summary}")
    try:
        Cluster(ledger, work, threads).run()
    finally:
        if started:
            ray.shutdown()


def _cpus(threads: int) -> int:
    return max(threads, os.cpu_count() or 1)


class Cluster:
    """Hands tasks out as soon as what they need is there, and books what comes back."""

    def __init__(self, ledger: Books, work: Workload, threads: int) -> None:
        self.ledger, self.threads = ledger, threads
        _ship_by_value(work.code())
        self.work = ray.put(work.shipped())
        gpus = 1 if work.on_gpu() else 0
        self.remote = ray.remote(max_retries=RETRIES, num_cpus=threads, num_gpus=gpus)(_on_worker)
        self.results: dict[str, Any] = {}  # references to finished tensors, by key
        self.waiting = list(ledger.todo)
        self.running: dict[Any, tuple[Task, Any]] = {}

    def run(self) -> None:
        """Until nothing is left."""
        keys = {key for task in self.waiting for key in task.needs}
        for key in keys:
            if (tables := self.ledger.kept(key)) is not None:
                self.results[key] = ray.put(_arrays({n: t.all() for n, t in tables.items()}))
        while self.waiting or self.running:
            self._hand_out()
            if self.running:
                self._take_in(*ray.wait(list(self.running), num_returns=1)[0])

    def _hand_out(self) -> None:
        later = []
        for task in self.waiting:
            if (failure := self.ledger.blocked(task)) is not None:
                self.ledger.finish(task, failure, 0.0, 0)
            elif all(key in self.results for key in task.needs):
                self.ledger.watcher.start(task)
                inputs = [self.results[key] for key in task.needs]
                references: Any = self.remote.options(num_returns=2).remote(
                    task, self.threads, self.work, *inputs
                )
                told, tensors = references
                self.running[told] = (task, tensors)
            else:
                later.append(task)
        self.waiting = later

    def _take_in(self, told: Any) -> None:
        task, tensors = self.running.pop(told)
        answer = attempt(lambda: ray.get(told))
        if isinstance(answer, Failure):
            self.ledger.finish(task, answer, 0.0, 0)
            return
        result, seconds, peak_bytes = answer
        if result is None:
            self.results[task.key] = tensors
            columns: Any = ray.get(tensors)
            result = {name: table.all() for name, table in columns.items()}
        self.ledger.finish(task, result, seconds, peak_bytes)
        for key in task.needs:
            if self.ledger.users[key] == 0:
                self.results.pop(key, None)


def _on_worker(
    task: Task, threads: int, work: Workload, *inputs: Columns
) -> tuple[tuple[Any, float, int], Columns]:
    """One task on a worker: what the ledger must know, and the tensors for later tasks."""
    results = dict(zip(task.needs, inputs, strict=True))
    memory.forget_peak()
    begin = perf_counter()
    with computing_with(threads):
        result = attempt(lambda: work.perform(task, results))
    seconds, peak_bytes = perf_counter() - begin, max(0, memory.peak() - memory.BASELINE)
    if isinstance(result, dict):  # tensors for later tasks
        return (None, seconds, peak_bytes), _arrays(result)
    return (result, seconds, peak_bytes), {}


def _arrays(tensors: Mapping[str, Tensor]) -> dict[str, Table]:
    """Tensors as tables, which travel without a copy within a node."""
    return {name: TensorTable(tensor.contiguous()) for name, tensor in tensors.items()}


def _ship_by_value(code: Sequence[object]) -> None:
    """Send the modules of the user's own classes and functions along with them."""
    for name in {getattr(part, "__module__", None) for part in code}:
        module = sys.modules.get(name or "")
        file = getattr(module, "__file__", None)
        if module is not None and file is not None and not _installed(Path(file)):
            cloudpickle.register_pickle_by_value(module)


def _installed(file: Path) -> bool:
    """Whether a module belongs to Python, to an installed package, or to offmap."""
    homes = [*site.getsitepackages(), sysconfig.get_path("stdlib"), str(Path(__file__).parents[1])]
    return any(file.resolve().is_relative_to(Path(home).resolve()) for home in homes)
