"""The contract that every measure keeps, for measures of your own.

    from offmap.testing import check_measure

    def test_my_measure():
        check_measure(my_measure)

It reads the measure with the engine that users run, on one small run of each task (`worlds`) and
without each piece of evidence in turn, and raises an `AssertionError` that lists what is wrong.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from offmap.audit import audit
from offmap.catalog import offering
from offmap.measure import Measure
from offmap.reading import Entry, Failed, Skipped
from offmap.run import Split, TrainingRun
from offmap.testing.claims import check_claim
from offmap.testing.laws import LAWS, Trial, explains_itself, requires
from offmap.testing.remedies import check_remedy
from offmap.testing.scores import check_onnx, check_score, score_worlds
from offmap.testing.tiny import worlds
from offmap.testing.watching import Tally, counted, global_randomness, state

__all__ = [
    "check_card", "check_claim", "check_evidence", "check_measure", "check_onnx", "check_readings",
    "check_remedy", "check_score", "readings", "score_worlds", "try_out", "without", "worlds",
]  # fmt: skip


ENGINE_GIVES = ("history", "recipe", "checkpoints")  # seen only by a measure that names them


def check_measure(measure: Measure, runs: Mapping[str, TrainingRun] | None = None) -> None:
    """Put a measure through every law.

    Args:
        measure: Installed or not; its file lies in a folder named after its question.
        runs: What to read it on, by name; `worlds()` where None.

    Raises:
        AssertionError: If it breaks a law, or gives no reading on any of the runs.
    """
    runs = worlds() if runs is None else runs
    check_card(measure)
    given = 0
    for run in runs.values():
        if found := check_readings(measure, run):
            check_evidence(measure, run)
        given += found
    _raise(
        measure, "all runs",
        [] if given else ["expected a reading on at least one run, got none: give `runs`"],
    )  # fmt: skip


def check_card(measure: Measure) -> None:
    """Is everything said that a reader must know?

    Raises:
        AssertionError: If not.
    """
    _raise(measure, "its card", explains_itself(measure))


def check_readings(measure: Measure, run: TrainingRun) -> int:
    """Read a measure on one run, twice, under every law; the number of readings that it gave.

    Raises:
        AssertionError: If it breaks a law.
    """
    trial = try_out(measure, run)
    _raise(measure, run.name, [complaint for law in LAWS for complaint in law(trial)])
    return sum(1 for _ in trial.readings)


def check_evidence(measure: Measure, run: TrainingRun) -> None:
    """Take each piece of evidence away: what needs it is skipped, with the reason.

    Raises:
        AssertionError: If a measure fails, or reads what it cannot know.
    """
    complaints = []
    for evidence, less in without(run).items():
        if evidence in ENGINE_GIVES and not requires(measure, evidence):
            continue
        for entry in readings(measure, less):
            if isinstance(entry.outcome, Failed):
                said = f"got\n{entry.outcome.traceback}"
            elif isinstance(entry.outcome, Skipped) and entry.outcome.reason.strip():
                continue
            elif requires(measure, evidence):
                said = "for it asks for it, got a reading"
            else:
                continue
            complaints.append(f"{entry.split}: expected a skip without {evidence}, {said}")
    _raise(measure, run.name, complaints)


def readings(
    measure: Measure, run: TrainingRun, *, seed: int = 0, tally: Tally | None = None
) -> tuple[Entry, ...]:
    """What an audit says of one measure, installed or not."""
    with offering(measure):
        watcher = None if tally is None else lambda _: tally
        report = audit(run, only=[measure.name], seed=seed, threads=1, watcher=watcher)
    return report.entries


def try_out(measure: Measure, run: TrainingRun) -> Trial:
    """Read a measure twice on a copy of a run's model, watching what it does."""
    run, tally = counted(run)
    with global_randomness(1):
        before = state(run)
        first = readings(measure, run, tally=tally)
        after = state(run)
    with global_randomness(2):
        again = readings(measure, run)
    changed = tuple(what for what, value in before.items() if after[what] != value)
    return Trial(measure, run, first, again, tally, changed)


def without(run: TrainingRun) -> dict[str, TrainingRun]:
    """The run without each piece of evidence that it has, by the name of what is missing.

    Without `targets`, train keeps its own: nobody trains without.
    """
    fields: dict[str, object] = {
        "train": None, "test": None, "shifts": {}, "history": None, "recipe": None,
        "checkpoints": (),
    }  # fmt: skip
    has = {name: empty for name, empty in fields.items() if getattr(run, name)}
    less = {name: replace(run, **{name: empty}) for name, empty in has.items()}
    less["groups"] = _bare(run, groups=True)
    if run.task != "reconstruction":
        less["targets"] = _bare(run, targets=True)
    return less


def _bare(run: TrainingRun, *, groups: bool = False, targets: bool = False) -> TrainingRun:
    def bare(split: Split) -> Split:
        return Split(
            split.table,
            None if targets else split.known_targets,
            groups=None if groups else split.groups,
        )

    splits = {name: bare(split) for name, split in run.splits.items()}
    train, test = splits.pop("train", None), splits.pop("test", None)
    return replace(run, train=run.train if targets else train, test=test, shifts=splits)


def _raise(measure: Measure, where: str, complaints: Iterator[str] | list[str]) -> None:
    found = list(complaints)
    if found:
        raise AssertionError(f"{measure.name} on {where}:\n" + "\n".join(f"- {c}" for c in found))
