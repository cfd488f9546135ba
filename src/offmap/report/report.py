"""The report as data: entries, plan, provenance, and the cards of the measures. Draws nothing."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from offmap.files import write_whole
from offmap.measure import Card
from offmap.plan import Plan
from offmap.reading import Entry, Failed, Reading, Skipped

SCHEMA = 1  # of report.json; a change that old readers cannot read raises it


@dataclass(frozen=True, slots=True)
class Provenance:
    """Everything needed to tell where the numbers come from, and to get them again.

    Args:
        name: The run's name.
        task: classification, regression, reconstruction or tokens.
        created: When, ISO 8601 with the time zone.
        versions: Of offmap, python, torch, numpy, and the platform.
        seed: Root of every generator.
        threads: That each task computed with.
        engine: Where the tasks ran.
        memory: Budget in bytes.
        peak_bytes: Peak of resident memory above that of the bare import.
        seconds: Wall time of the audit.
        settings: Settings given by the user, by measure.
        fingerprints: Of the model and of every split.
        domain: shape, dtype, low, high, kind, inferred.
        splits: For each split its number of examples and what else is known of it.
        model: Class, parameters, feature layer.
        class_names: How people call the classes; empty where unknown.
        reused: Entries taken from an earlier, interrupted audit.
        shared_seconds: Time of work that several measures read, by its label.
    """

    name: str
    task: str
    created: str
    versions: Mapping[str, str]
    seed: int
    threads: int
    engine: str
    memory: int
    peak_bytes: int
    seconds: float
    settings: Mapping[str, Mapping[str, object]]
    fingerprints: Mapping[str, str]
    domain: Mapping[str, object]
    splits: Mapping[str, Mapping[str, object]]
    model: Mapping[str, object]
    class_names: Sequence[str] = ()
    reused: int = 0
    shared_seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """What an audit found.

    Args:
        entries: One for each measure and split, in the order of the questions.
        plan: What was planned, with its estimates.
        provenance: Where the numbers come from.
        cards: What to know of each measure, by name.
        thumbnails: Small PNG pictures in base64, by split and row, for the galleries.
    """

    entries: tuple[Entry, ...]
    plan: Plan
    provenance: Provenance
    cards: Mapping[str, Card]
    thumbnails: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def entry(self, measure: str, split: str | None = None) -> Entry | None:
        """The entry of a measure, on a split (or the first there is); None if there is none."""
        for entry in self.entries:
            if entry.measure == measure and split in (None, entry.split):
                return entry
        return None

    def reading(self, measure: str, split: str | None = None) -> Reading | None:
        """The reading of a measure, on a split (or the first there is); None if there is none."""
        for entry in self.entries:
            if entry.measure == measure and split in (None, entry.split) and entry.reading:
                return entry.reading
        return None

    @property
    def failed(self) -> tuple[Entry, ...]:
        """Entries whose measure raised an error."""
        return tuple(entry for entry in self.entries if isinstance(entry.outcome, Failed))

    @property
    def skipped(self) -> tuple[Entry, ...]:
        """Entries without a reading, for a reason."""
        return tuple(entry for entry in self.entries if isinstance(entry.outcome, Skipped))

    def save(self, folder: str | Path) -> Path:
        """Write `report.json`, `examples/<split>.parquet` and `report.html`; returns the folder."""
        from offmap.report import html, json  # noqa: PLC0415 - drawing is slow to import

        folder = Path(folder)
        json.save(self, folder)
        write_whole(folder / "report.html", html.html(self).encode())
        return folder

    @staticmethod
    def load(path: str | Path) -> "Report":
        """Read a report from its folder, or from its `report.json`.

        Raises:
            InputError: If it is missing, cut off, not a report of offmap, or of a newer schema.
        """
        from offmap.report import json  # noqa: PLC0415 - it imports this file

        return json.load(Path(path))

    def show(self) -> None:
        """Show the report: the page in a notebook, the summary in a terminal."""
        ipython = sys.modules.get("IPython")
        shell = ipython.get_ipython() if ipython else None
        if ipython and getattr(shell, "kernel", None) is not None:
            ipython.display.display(self)
            return
        from rich.console import Console  # noqa: PLC0415

        from offmap.report.terminal import render  # noqa: PLC0415 - it imports this file

        Console().print(render(self))

    def _repr_html_(self) -> str:
        """The page in a frame, for notebooks."""
        from offmap.report.html import notebook  # noqa: PLC0415 - drawing is slow to import

        return notebook(self)
