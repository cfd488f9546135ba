"""From what a file holds to a `Split`: the same last step for every source."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from offmap.attempt import InputError
from offmap.run import DEFAULT_MEMORY, Split, Task
from offmap.sources.images import as_inputs
from offmap.sources.names import GROUPS, INPUTS, TARGETS, find, listed
from offmap.sources.targets import as_groups, as_targets
from offmap.table import Table


@dataclass(frozen=True, slots=True)
class Request:
    """What the user said about the data, for every source alike.

    Args:
        name: Name of the split.
        inputs: Name of the array or column of inputs; found by usual names where None.
        targets: Name of the array or column of targets, likewise.
        groups: Name of the array or column of groups, likewise.
        memory: Budget of the split, in bytes.
        task: What the model does, where the type of the targets does not tell.
        class_names: The classes by number, where labels are to be numbered as elsewhere.
        cache: Folder for rows that are decoded once and exceed half of `memory`.
    """

    name: str = "split"
    inputs: str | None = None
    targets: str | None = None
    groups: str | None = None
    memory: int = DEFAULT_MEMORY
    task: Task | None = None
    class_names: Sequence[str] | None = None
    cache: Path | None = None

    def columns(
        self, names: Sequence[str], where: str
    ) -> tuple[str | None, str | None, str | None]:
        """The names of inputs, targets and groups among `names`, None where nothing is meant.

        Raises:
            InputError: If a given name is not there.
        """
        wanted = ((INPUTS, self.inputs), (TARGETS, self.targets), (GROUPS, self.groups))
        inputs, targets, groups = (
            find(names, usual, given=given, split=self.name, where=where) for usual, given in wanted
        )
        return inputs, targets, groups

    def must_have_targets(self, spare: Sequence[str], where: str) -> None:
        """Nothing is called targets: fine, unless something else is there that may be.

        Raises:
            InputError: If `spare`, what is neither inputs nor groups, is not empty.
        """
        if spare and self.task != "reconstruction":
            raise InputError(
                f"{where}: expected targets under a usual name ({', '.join(TARGETS)}), got "
                f"{listed(spare)}: name them with targets=..., or set task='reconstruction'"
            )


def build(
    request: Request,
    inputs: Table,
    targets: Any | None,
    groups: Any | None,
    *,
    where: str,
    file_names: Sequence[str] | None = None,
) -> Split:
    """The split of these rows.

    Args:
        request: What the user said.
        inputs: The rows as they are stored.
        targets: Numbers or strings, one row an example.
        groups: Whole numbers or strings, one an example.
        where: The file, for messages.
        file_names: The classes by number, as the file calls them.

    Raises:
        InputError: If there is no example, or the parts do not fit together.
    """
    refuse_empty(len(inputs), where)
    names = None
    if request.task == "reconstruction":
        targets = None  # what to reconstruct are the inputs
    if targets is not None:
        targets, names = as_targets(
            targets,
            task=request.task,
            file_names=file_names,
            class_names=request.class_names,
            where=f"{where}, targets",
        )
    return Split(
        as_inputs(inputs, request.task, where),
        targets,
        groups=None if groups is None else as_groups(groups, f"{where}, groups"),
        name=request.name,
        memory=request.memory,
        class_names=names,
    )


def refuse_empty(count: int, where: str) -> None:
    """Refuses data without examples.

    Raises:
        InputError: If `count` is zero.
    """
    if not count:
        raise InputError(f"{where}: expected at least one example, got none")
