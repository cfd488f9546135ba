"""What is tried: scores fitted to a network, on strangers of every kind that can be had."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from offmap.attempt import CannotMeasure
from offmap.guard.holdout import Fold, folds, left_out, parts
from offmap.guard.kept import EPOCH
from offmap.guard.progress import Agenda
from offmap.guard.seeing import Sight
from offmap.guard.strangers import Distance, Family, Group
from offmap.guard.trial import Panel, Values, panel
from offmap.inputs import head_name
from offmap.run import Recipe, Split, TrainingRun
from offmap.score import Score
from offmap.seeds import derive, sample

NO_RECIPE = (
    "no network was trained without some classes, for there is no recipe: classes were left out of "
    "the scores alone, and the network knows them"
)


class Trial(NamedTuple):
    """What the candidates of one network say of the familiar and of one family of strangers.

    `counts`: whether it has a say. `paired`: stranger i is made of familiar row i.
    """

    name: str
    distance: Distance
    group: Group
    counts: bool
    paired: bool
    familiar: Values
    strange: Values


@dataclass(frozen=True, slots=True, eq=False)
class Kit:
    """What is tried, and how it is fitted to a network.

    Args:
        units: The scores by name.
        ensembles: The members of each.
        settings: Settings by score.
        classifies: Whether networks have classes.
        seed: Root of every random number.
        memory: Bytes that fitting may take.
        agenda: Told of every step.
        folder: Where retrained networks are kept; None: nowhere.
    """

    units: Mapping[str, Score]
    ensembles: Sequence[tuple[str, ...]]
    settings: Mapping[str, Mapping[str, Any]]
    classifies: bool
    seed: int
    memory: int
    agenda: Agenda
    folder: Path | None

    def fitted(
        self, model: nn.Module, layer: str | None, train: Split, reference: Split
    ) -> tuple[Panel, Values]:
        """The candidates, and what each says of the reference rows."""
        return panel(
            Sight(model, layer, classifies=self.classifies), train, reference, self.units,
            self.ensembles, settings=self.settings, seed=self.seed, memory=self.memory,
            agenda=self.agenda,
        )  # fmt: skip


def made_up(
    own: Mapping[str, Family],
    reference: Split,
    run: TrainingRun,
    made: Panel,
    familiar: Values,
    kit: Kit,
) -> Iterator[Trial]:
    """The candidates on each family of strangers that are made of the reference rows."""
    assert run.domain is not None
    for name, family in own.items():
        strangers = family(reference, run.domain, derive(kit.seed, "family", name))
        with kit.agenda.step("strangers"):
            strange = made.values(strangers)
        yield Trial(name, family.kind, family.group, family.strange, True, familiar, strange)


def of_classes(
    run: TrainingRun, kit: Kit, reference: Split, leavings: int, retrainings: int, rows: int
) -> tuple[list[Trial], tuple[str, ...]]:
    """The candidates on classes that play the strangers; and why some kind of them does not."""
    if not kit.classifies:
        return [], ("no classes play the strangers: the network has none",)
    try:
        left = list(_left_out(run, kit, reference, leavings))
    except CannotMeasure as reason:
        return [], (f"no classes play the strangers: {reason}",)
    if run.recipe is None:
        return left, (NO_RECIPE,)
    try:
        return left + list(_retrained(run, run.recipe, kit, reference, retrainings, rows)), ()
    except CannotMeasure as reason:
        return left, (f"no network was trained without some classes: {reason}",)


def _left_out(run: TrainingRun, kit: Kit, reference: Split, most: int) -> Iterator[Trial]:
    """The candidates on classes that only the scores and the head do without."""
    assert run.train is not None
    layer, count = head_name(run), min(most, len(parts(run.train, reference, kit.seed)))
    kit.agenda.expect(dict.fromkeys(kit.units, count))
    for fold in left_out(run.model, layer, run.train, reference, count=count, seed=kit.seed):
        yield _played(fold, "left out", kit, layer)


def _retrained(
    run: TrainingRun, recipe: Recipe, kit: Kit, reference: Split, most: int, rows: int
) -> Iterator[Trial]:
    """The candidates on classes that a retrained network never saw."""
    assert run.train is not None
    layer, count = head_name(run), min(most, len(parts(run.train, reference, kit.seed)))
    kit.agenda.expect(dict.fromkeys(kit.units, count) | {EPOCH: count * recipe.epochs})
    for fold in folds(
        recipe, layer, run.train, reference, count=count, rows=rows, seed=kit.seed,
        agenda=kit.agenda, folder=kit.folder,
    ):  # fmt: skip
        yield _played(fold, "class", kit, layer)


def _played(fold: Fold, group: Group, kit: Kit, layer: str | None) -> Trial:
    """The candidates, fitted without some classes, on these."""
    made, familiar = kit.fitted(fold.model, layer, fold.train, fold.reference)
    how = "left out" if group == "left out" else "without"
    name = f"{how} {', '.join(map(str, fold.gone))}"
    return Trial(name, "near", group, True, False, familiar, made.values(fold.strangers))


def real(
    outliers: Mapping[str, Split], made: Panel, familiar: Values, rows: int, counts: bool
) -> Iterator[Trial]:
    """The candidates on the user's own strangers."""
    for name, split in outliers.items():
        few = split.take(sample(0, name, len(split), rows))
        yield Trial(name, "unknown", "outliers", counts, False, familiar, made.values(few))
