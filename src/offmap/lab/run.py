"""Running claims: trials as tasks of an engine, kept as they finish, taken up again later."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from offmap.attempt import InputError
from offmap.catalog import named
from offmap.engine.graph import Task
from offmap.engine.ledger import Watcher
from offmap.engine.place import engine_called, threads_of
from offmap.engine.progress import Silent
from offmap.engine.store import locked, writing
from offmap.engine.workload import Results
from offmap.lab import data as public
from offmap.lab.books import Books
from offmap.lab.claim import SCALES, Claim, Scale, Trial, claims
from offmap.lab.finding import Finding
from offmap.lab.fingerprint import key
from offmap.lab.provenance import provenance
from offmap.seeds import derive

SEEDS: Mapping[Scale, int] = {"smoke": 5, "desk": 5, "full": 20}
Watching = Callable[[Mapping[str, float]], Watcher]  # from the seconds of each task, by key


@dataclass(frozen=True, slots=True)
class Laboratory:
    """What all trials have in common: the scale, and the folder of the public data sets."""

    scale: Scale
    folder: Path | None

    def perform(self, task: Task, results: Results) -> Trial:
        """One trial.

        Raises:
            TypeError: If the claim returns something else.
        """
        unit = claims()[task.unit]
        given: dict[str, Any] = dict(unit.scales[self.scale])
        if unit.data:
            names = unit.data.get(self.scale, ())
            given["data"] = {name: public.read(name, self.folder) for name in names}
        trial = unit(generator=derive(task.index, unit.name), **given)
        if not isinstance(trial, Trial):
            raise TypeError(f"expected {unit.name} to return a Trial, got {type(trial)}")
        return trial

    def shipped(self) -> "Laboratory":
        """As it is: every node reads the public data sets where they lie."""
        return self

    def code(self) -> Sequence[object]:
        """Nothing: claims are installed wherever they run."""
        return ()

    def on_gpu(self) -> bool:
        """No: claims are sized for processors."""
        return False


def find(
    names: Sequence[str] = (),
    *,
    scale: str = "smoke",
    seeds: int | None = None,
    out: Path | str | None = None,
    data: Path | str | None = None,
    engine: str = "local",
    threads: int = 1,
    fresh: bool = False,
    watcher: Watching | None = None,
) -> list[Finding]:
    """Run claims, each over several seeds, and see what came of them.

    Args:
        names: Of the claims; empty for all.
        scale: smoke (seconds), desk (minutes) or full.
        seeds: How many; 5 at smoke and desk, 20 at full where not given.
        out: Folder where finished trials are kept: a run that was interrupted goes on from there.
            None: nothing is kept.
        data: Folder of the public data sets, for the claims that read some.
        engine: `local`, `ray` (a cluster started here), or `ray://host:port`.
        threads: That each trial computes with.
        fresh: Forget the trials of earlier runs of these claims.
        watcher: Makes somebody who follows the work, from the seconds of its tasks.

    Raises:
        InputError: If a claim is unknown or cannot run here, or an option cannot be used.
    """
    chosen = {name: named(name, claims(), "claim") for name in names} or dict(claims())
    size = _scale(scale)
    count = _seeds(size, seeds)
    folder = None if data is None else Path(data)
    work_on = engine_called(engine)
    tasks = _tasks(chosen, size, count, threads_of(threads), folder)
    costs = {task.key: chosen[task.unit].seconds[size] for task in tasks}
    place = TemporaryDirectory(prefix="offmap-") if out is None else nullcontext(out)
    with place as kept, _trials(Path(kept)) as trials:
        if fresh:
            for task in tasks:
                for path in trials.glob(f"{task.unit}-{task.index}-*.json"):
                    path.unlink()
        books = Books(tasks, trials, watcher(costs) if watcher else Silent())
        work_on(books, Laboratory(size, folder), threads=threads)
        return [
            Finding(
                unit.statement,
                size,
                dict(unit.scales[size]),
                tuple(books.done[task.key] for task in tasks if task.unit == name),
                provenance(threads, engine),
            )
            for name, unit in chosen.items()
        ]


def _scale(given: str) -> Scale:
    for scale in SCALES:
        if scale == given:
            return scale
    raise InputError(f"expected the scale {', '.join(SCALES[:-1])} or full, got {given!r}")


def _seeds(scale: Scale, given: int | None) -> int:
    if given is not None and given < 1:
        raise InputError(
            f"expected at least one seed, two or more for a verdict, got {given}: give --seeds 5"
        )
    return given or SEEDS[scale]


def _tasks(
    chosen: Mapping[str, Claim], scale: Scale, seeds: int, threads: int, folder: Path | None
) -> list[Task]:
    """One task for each claim and seed.

    Raises:
        InputError: If a claim cannot run here.
    """
    tasks = []
    for name, unit in chosen.items():
        _check_installed(unit)
        paths = public.files(unit.data.get(scale, ()), folder)
        data = {path.name: public.fingerprint(path) for path in paths}
        tasks += [
            Task("trial", name, index=seed, key=key(unit, scale, seed, threads, data))
            for seed in range(seeds)
        ]
    return tasks


def _check_installed(unit: Claim) -> None:
    for module in unit.modules:
        if find_spec(module) is None:
            raise InputError(
                f"expected {module} to be installed, which {unit.name} needs, got none: "
                "pip install 'offmap[lab]'"
            )


@contextmanager
def _trials(folder: Path) -> Iterator[Path]:
    """The place of finished trials in a folder that no other run works in."""
    trials = folder / "trials"
    with writing(folder):
        trials.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        yield trials
