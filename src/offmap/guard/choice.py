"""What a choice of scores found: plain data, with the whole table it rests on."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from offmap.codec import RECORDS, decode, encode
from offmap.figures import Matrix
from offmap.guard.strangers import Distance, Group
from offmap.guard.trial import Cell


@dataclass(frozen=True, slots=True)
class Tried:
    """A family of strangers that the scores were tried on.

    Args:
        distance: Near or far.
        group: Families of one group are alike.
        weight: Its share in the choice; 0: it is shown and counts for nothing.
        rows: How many strangers.
    """

    distance: Distance
    group: Group
    weight: float
    rows: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """A score, or several together, and what it is worth.

    Args:
        scores: Its members by name.
        merit: The weighted mean of AUROC over the families that count.
        near: The plain mean over those of them that are near; None where none are.
        far: Over those that are far.
        overhead: Seconds for a batch over those of the bare network.
        state_bytes: What it keeps of training.
        cells: How well it does, by family.
    """

    scores: tuple[str, ...]
    merit: float
    near: float | None
    far: float | None
    overhead: float
    state_bytes: int
    cells: Mapping[str, Cell]

    @property
    def name(self) -> str:
        """Its members, in one string."""
        return " + ".join(self.scores)


@dataclass(frozen=True, slots=True)
class Choice:
    """The score chosen, and everything it was chosen by.

    Args:
        best: The score, or the members of the ensemble: what `fit_guard` takes.
        why: The reason, in a sentence or two.
        candidates: All that could be fitted, best first.
        refused: Why the others could not, by name.
        families: What they were tried on.
        notes: What was left out, and why.
        reference: Calibration rows that the choice has seen: the first part of `divided`.
        calibration: Hash of all the calibration data: only with these may a guard be fitted.
        seed: Of every random choice.
    """

    best: tuple[str, ...]
    why: str
    candidates: tuple[Candidate, ...]
    refused: Mapping[str, str]
    families: Mapping[str, Tried]
    notes: tuple[str, ...]
    reference: int
    calibration: str
    seed: int

    def one_shown(self) -> Matrix:
        """One family shown, the others new: AUROC on each family (column) of what a row would pick.

        A row picks whatever does best on its family alone; where several do, their mean is given.
        Small numbers off the diagonal say that this family is a poor guide to the others.
        """
        names = tuple(self.families)
        area = torch.tensor(
            [[one.cells[name].auroc.value for name in names] for one in self.candidates],
            dtype=torch.double,
        )
        picked = (area >= area.amax(dim=0) - 1e-9).double()  # [candidates, families shown]
        return Matrix(
            "One family shown, the others new",
            "stranger",
            "shown",
            names,
            names,
            (picked / picked.sum(dim=0)).T @ area,
        )

    def to_json(self) -> str:
        """As JSON text."""
        return json.dumps(encode(self))

    @staticmethod
    def from_json(text: str) -> "Choice":
        """The inverse of `to_json`."""
        own = {kind.__name__: kind for kind in (Choice, Candidate, Tried, Cell)}
        return decode(json.loads(text), {**RECORDS, **own})
