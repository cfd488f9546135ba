"""The front door: take every reading that the evidence at hand allows."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from math import prod
from pathlib import Path
from time import perf_counter

from offmap.attempt import InputError
from offmap.catalog import measures, named
from offmap.engine.fingerprint import fingerprints
from offmap.engine.graph import Builder, Graph
from offmap.engine.ledger import Ledger, Watcher
from offmap.engine.place import engine_called, threads_of, versions
from offmap.engine.probe import estimate
from offmap.engine.progress import Silent
from offmap.engine.store import Store, writing
from offmap.engine.work import Context
from offmap.inputs import head_name
from offmap.measure import Cost
from offmap.plan import Choice, Plan, Selection, choose
from offmap.reading import Entry, Skipped
from offmap.report.report import Provenance, Report
from offmap.report.thumbnails import thumbnails
from offmap.run import DEFAULT_MEMORY, Domain, Split, TrainingRun
from offmap.survey import Survey, examine

UNITS = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
Settings = Mapping[str, Mapping[str, object]]
Watching = Callable[[Mapping[str, float]], Watcher]  # from the seconds of each task, by key


@dataclass(frozen=True, slots=True)
class Resources:
    """What an audit may use: bytes, threads for each task, and the root of its random numbers."""

    memory: int
    threads: int
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A run that was looked at, with all its tasks and what they will cost."""

    run: TrainingRun
    prints: Mapping[str, str]
    seen: Mapping[str, Survey]
    choices: Sequence[Choice]
    graph: Graph
    plan: Plan
    costs: Mapping[str, float]

    @property
    def domain(self) -> Domain:
        """The contract of an input, settled by the look at the data."""
        assert self.run.domain is not None
        return self.run.domain


def plan(
    run: TrainingRun,
    *,
    max_cost: str = "retrain",
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
    settings: Settings | None = None,
    memory: int | str = DEFAULT_MEMORY,
    seed: int = 0,
    threads: int | None = None,
) -> Plan:
    """What an audit of the run would do, what it would cost, and why the rest cannot be done.

    Takes the arguments of `audit`. Nothing is measured, but the model is tried on a few hundred
    examples to see how long it takes.

    Raises:
        InputError: If the run, the name of a measure or a setting cannot be used.
    """
    selection, resources = requested(
        max_cost=max_cost, only=only, skip=skip, settings=settings, memory=memory, seed=seed,
        threads=threads,
    )  # fmt: skip
    return prepare(run, selection, resources).plan


def audit(
    run: TrainingRun,
    *,
    out: Path | str | None = None,
    max_cost: str = "retrain",
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
    settings: Settings | None = None,
    memory: int | str = DEFAULT_MEMORY,
    engine: str = "local",
    seed: int = 0,
    threads: int | None = None,
    fresh: bool = False,
    watcher: Watching | None = None,
) -> Report:
    """Take every reading that the evidence in `run` allows.

    Args:
        run: The model, its data, and what else is known.
        out: Folder for finished work and the report. Killed and started again with the same
            folder, an audit goes on where it was. None: a temporary folder, nothing is kept.
        max_cost: weights, forward, backward, many_passes or retrain: leave out what costs more.
        only: Names of measures; empty for all.
        skip: Names of measures to leave out.
        settings: By measure and setting.
        memory: Budget in bytes, or as text such as "4GiB".
        engine: `local`, `ray` (a cluster started here), or `ray://host:port`.
        seed: Root of every random number.
        threads: That each task computes with, part of the last bits of the numbers. None: as many
            as the machine has cores, at most 8.
        fresh: Forget what an earlier audit in the folder found.
        watcher: Makes somebody who follows the work, from the estimated seconds of its tasks.

    Raises:
        InputError: If something that the user gave cannot be used. What was finished is kept.
    """
    began = perf_counter()
    selection, resources = requested(
        max_cost=max_cost, only=only, skip=skip, settings=settings, memory=memory, seed=seed,
        threads=threads, engine=engine,
    )  # fmt: skip
    work_on = engine_called(engine)
    temporary = tempfile.TemporaryDirectory(prefix="offmap-") if out is None else nullcontext(out)
    with temporary as folder:
        store = Store(Path(folder))
        with store.locked():
            if fresh:
                store.clear()
            ready = prepare(run, selection, resources)
            ledger = Ledger(ready.graph, store, watcher(ready.costs) if watcher else Silent())
            work_on(ledger, Context(ready.run, seed), threads=resources.threads)
            store.clear_work()
            entries = _entries(ready.choices, ledger)
            report = Report(
                entries=entries,
                plan=ready.plan,
                provenance=_provenance(
                    ready, ledger, resources, engine=engine, seconds=perf_counter() - began,
                    settings=selection.settings,
                ),
                cards={entry.measure: measures()[entry.measure].card for entry in entries},
                thumbnails=thumbnails(ready.run.splits, entries, ready.domain),
            )  # fmt: skip
            if out is not None:
                with writing(Path(out)):
                    report.save(Path(out))
    return report


def requested(
    *,
    max_cost: str,
    only: Sequence[str],
    skip: Sequence[str],
    settings: Settings | None,
    memory: int | str,
    seed: int,
    threads: int | None,
    engine: str = "local",
) -> tuple[Selection, Resources]:
    """What was asked for, checked before anything is loaded; arguments as of `audit`.

    Raises:
        InputError: If a measure, a setting, a size or an engine is none.
    """
    engine_called(engine)
    selection = Selection(parse_cost(max_cost), only, skip, settings or {})
    return selection, Resources(parse_bytes(memory), threads_of(threads), seed)


def prepare(run: TrainingRun, selection: Selection, resources: Resources) -> Prepared:
    """Look at everything, and make the tasks and the plan.

    Raises:
        InputError: If model and data do not fit each other.
    """
    run, seen = examine(run.with_memory(resources.memory))
    choices = choose(run, selection)
    prints = fingerprints(run, seen, resources.threads)
    graph = Builder(run, resources.seed, prints).build(choices)
    planned, costs = estimate(run, choices, graph, resources.seed, resources.threads)
    return Prepared(run, prints, seen, choices, graph, planned, costs)


def parse_cost(text: str) -> Cost:
    """A cost class from its label.

    Raises:
        InputError: If there is no such class.
    """
    return named(text, {cost.label: cost for cost in Cost}, "cost class")


def parse_bytes(size: int | str) -> int:
    """Bytes from a number or text such as "4GiB" or "500 MB".

    Raises:
        InputError: If it is neither, or less than 64 MiB.
    """
    if isinstance(size, str):
        text = size.strip().lower().replace(" ", "")
        digits = text.rstrip("bgikm")
        unit = UNITS.get(text[len(digits) :] or "b")
        if unit is None or not digits.replace(".", "", 1).isdigit():
            raise InputError(f"expected a size such as 4GiB or 500MB, got {size!r}")
        size = int(float(digits) * unit)
    if size < 64 * 2**20:
        raise InputError(f"expected a memory budget of at least 64MiB, got {size:,} bytes")
    return size


def _entries(choices: Sequence[Choice], ledger: Ledger) -> tuple[Entry, ...]:
    """One entry for each choice, in their order; a choice that did not run says why."""
    found = {(e.measure, e.split): e for e in ledger.entries.values()}
    return tuple(
        Entry(
            choice.measure.name, choice.measure.question, choice.split, Skipped(choice.reason),
            dict(choice.settings),
        )
        if choice.reason
        else found[choice.measure.name, choice.split]
        for choice in choices
    )  # fmt: skip


def _provenance(
    ready: Prepared,
    ledger: Ledger,
    resources: Resources,
    *,
    engine: str,
    seconds: float,
    settings: Settings,
) -> Provenance:
    run, domain = ready.run, ready.domain
    parameters = sum(weight.numel() for weight in run.model.parameters())
    return Provenance(
        name=run.name,
        task=str(run.task),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=versions(),
        seed=resources.seed,
        threads=resources.threads,
        engine=engine,
        memory=resources.memory,
        peak_bytes=ledger.peak_bytes,
        seconds=seconds,
        settings={name: dict(given) for name, given in settings.items()},
        fingerprints={n: ready.prints[n] for n in ("code", "model")}
        | {name: ready.prints[f"split:{name}"] for name in run.splits},
        domain={
            "shape": tuple(domain.shape),
            "dtype": str(domain.dtype).removeprefix("torch."),
            "low": domain.low,
            "high": domain.high,
            "kind": domain.kind,
            "inferred": domain.inferred,
        },
        splits={name: _facts(split, ready.seen[name]) for name, split in run.splits.items()},
        model={
            "class": type(run.model).__name__,
            "parameters": parameters,
            "feature_layer": head_name(run),
        },
        class_names=tuple(run.class_names or ()),
        reused=sum(entry.reused for entry in ledger.entries.values()),
        shared_seconds=ledger.shared_seconds,
    )


def _facts(split: Split, seen: Survey) -> dict[str, object]:
    return {
        "examples": len(split),
        "numbers_each": prod(split.shape),
        "targets": split.known_targets is not None,
        "groups": None if split.groups is None else len(split.groups.unique()),
        "low": seen.low,
        "high": seen.high,
    }
