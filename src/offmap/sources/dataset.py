"""Data sets of other libraries, known by how they behave: torch's map style, and Hugging Face's."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from offmap.attempt import InputError, readable
from offmap.run import Split
from offmap.sources.build import Request, build, refuse_empty
from offmap.sources.names import INPUTS, find, listed
from offmap.sources.store import Block, as_row, store
from offmap.table import Table

READ_TWICE = 32  # rows that are read again, to see whether the data set gives the same
ROWS = 256  # rows asked for at a time
PLACES = ("inputs", "targets", "groups")  # what the members of a tuple are


def from_dataset(dataset: Any, **settings: Any) -> Split:
    """A split from a torch data set of the map style: `len(dataset)` and `dataset[i]`.

    An item is a tuple (x, y) or (x, y, group), a dict with usual or given names, or x alone;
    x is a tensor, an array, numbers or a PIL image. Every item is read once, and decoded rows
    are held, or kept in a file where they exceed half of the budget. `dataset.classes` names
    the classes.

    Args:
        dataset: The data set.
        settings: Fields of `Request`: `name`, `inputs`, `targets`, `groups`, `memory`, `task`,
            `class_names`, `cache`.

    Raises:
        InputError: If it has no length, its items are not understood, or an item differs when
            it is read twice.
    """
    request = Request(**settings)
    where = f"data set {type(dataset).__name__}"
    for method in ("__len__", "__getitem__"):
        if not hasattr(dataset, method):
            raise InputError(
                f"{where}: expected a data set with a length and items, got none of {method}: "
                "collect what it yields in a list"
            )
    refuse_empty(len(dataset), where)
    keys = _keys(readable(lambda: dataset[0], f"{where}, row 0"), request, where)
    _refuse_random(dataset, keys, where)
    said: dict[str, list[Any]] = {what: [] for what in keys if what != "inputs"}

    def blocks() -> Iterator[Block]:
        for row in range(len(dataset)):
            place = f"{where}, row {row}"
            item = readable(lambda row=row: dataset[row], place)
            for what, values in said.items():
                values.append(_plain(_part(item, keys[what], place)))
            yield place, as_row(_part(item, keys["inputs"], place), place)[None]

    table = store(blocks(), len(dataset), memory=request.memory, cache=request.cache)
    names = getattr(dataset, "classes", None)
    names = names if _strings(names) else None
    return _built(request, table, said, where, names)


def from_hugging_face(dataset: Any, **settings: Any) -> Split:
    """A split from one split of a Hugging Face data set; images come as PIL images.

    Nothing of the `datasets` library is imported: what counts is `column_names`, a length, and
    slices that are dicts of lists. Names of classes are taken from `features`.

    Args:
        dataset: The data set, as `datasets.load_dataset(..., split="test")` gives it.
        settings: Fields of `Request`: `name`, `inputs`, `targets`, `groups`, `memory`, `task`,
            `class_names`, `cache`.

    Raises:
        InputError: If it is streamed or a mapping of splits, or its columns are not clear.
    """
    request = Request(**settings)
    where = "Hugging Face data set"
    columns = getattr(dataset, "column_names", None)
    if isinstance(columns, dict):
        raise InputError(
            f"{where}: expected one split, got {listed(list(columns))}: take one of them"
        )
    if columns is None or not hasattr(dataset, "__len__"):
        raise InputError(
            f"{where}: expected columns and a length, got {type(dataset).__name__}: "
            "a streamed data set must be loaded with streaming=False"
        )
    refuse_empty(len(dataset), where)
    if hasattr(dataset, "with_format"):
        dataset = dataset.with_format(None)
    first = dataset[:1]
    inputs, targets, groups = _columns(first, columns, request, where)
    said: dict[str, list[Any]] = {
        what: [] for what, name in (("targets", targets), ("groups", groups)) if name is not None
    }
    named = {"targets": targets, "groups": groups}

    def blocks() -> Iterator[Block]:
        for start in range(0, len(dataset), ROWS):
            part = readable(lambda start=start: dataset[start : start + ROWS], where)
            for what, values in said.items():
                values.extend(_plain(value) for value in part[named[what]])
            for row, values in enumerate(zip(*(part[name] for name in inputs), strict=True), start):
                place = f"{where}, row {row}"
                value = values[0] if len(values) == 1 and not _number(values[0]) else list(values)
                yield place, _real(as_row(value, place), first, inputs)[None]

    table = store(blocks(), len(dataset), memory=request.memory, cache=request.cache)
    feature = (getattr(dataset, "features", None) or {}).get(targets)
    return _built(request, table, said, where, getattr(feature, "names", None))


def _built(
    request: Request,
    table: Table,
    said: dict[str, list[Any]],
    where: str,
    names: Sequence[str] | None,
) -> Split:
    targets: Any = said.get("targets")
    if targets is not None and not isinstance(targets[0], str):
        rows = targets
        targets = readable(lambda: np.stack(rows), f"{where}, targets")
    return build(request, table, targets, said.get("groups"), where=where, file_names=names)


def _columns(
    first: dict[str, list[Any]], names: Sequence[str], request: Request, where: str
) -> tuple[list[str], str | None, str | None]:
    """Names of the inputs (one column, or all of numbers), of the targets and of the groups.

    Raises:
        InputError: If they are not clear.
    """
    _, targets, groups = replace(request, inputs=None).columns(names, where)
    rest = [name for name in names if name not in (targets, groups)]
    if request.inputs is not None:
        wanted = [request.inputs] if request.inputs in names else request.inputs.split(",")
        inputs = [str(find(names, (), given=n.strip(), split="", where=where)) for n in wanted]
    else:
        broad = [n for n in rest if not _number(first[n][0]) and not isinstance(first[n][0], str)]
        usual = find(broad, INPUTS, given=None, split=request.name, where=where)
        if usual is None and len(broad) > 1:
            raise InputError(
                f"{where}: expected one column of inputs, got {listed(broad)}: "
                "name it with inputs=..."
            )
        inputs = [usual or broad[0]] if broad else rest
    if not inputs:
        raise InputError(f"{where}: expected columns of inputs, got {listed(names)}")
    if targets is None:
        request.must_have_targets([n for n in rest if n not in inputs] or inputs[1:], where)
    return inputs, targets, groups


def _number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number))


def _real(row: np.ndarray, first: dict[str, list[Any]], inputs: Sequence[str]) -> np.ndarray:
    """Columns of numbers side by side are float32, whatever type each of them has."""
    return row.astype(np.float32) if _number(first[inputs[0]][0]) else row


def _keys(item: Any, request: Request, where: str) -> dict[str, str | int | None]:
    """Where inputs, targets and groups stand in an item; None stands for the item itself.

    Raises:
        InputError: If it is not clear.
    """
    if isinstance(item, dict):
        inputs, targets, groups = request.columns(list(item), where)
        if inputs is None:
            raise InputError(
                f"{where}: expected inputs under a usual name ({', '.join(INPUTS)}), "
                f"got {listed(list(item))}: name them with inputs=..."
            )
        if targets is None:
            request.must_have_targets([n for n in item if n not in (inputs, groups)], where)
        found = dict(zip(PLACES, (inputs, targets, groups), strict=True))
        return {what: key for what, key in found.items() if key is not None}
    if isinstance(item, (tuple, list)):
        if not 1 <= len(item) <= len(PLACES):
            raise InputError(
                f"{where}: expected items (inputs, targets) or (inputs, targets, group), "
                f"got {len(item)} members"
            )
        return dict(zip(PLACES, range(len(item)), strict=False))
    return {"inputs": None}


def _part(item: Any, key: str | int | None, where: str) -> Any:
    if key is None:
        return item
    return readable(lambda: item[key], f"{where}, {key!r}")


def _plain(value: Any) -> Any:
    """A target or a group as numpy has it; strings as they are."""
    if isinstance(value, Tensor):
        return value.detach().cpu().numpy()
    return value if isinstance(value, str) or value is None else np.asarray(value)


def _strings(names: Any) -> bool:
    return isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names)


def _refuse_random(dataset: Any, keys: dict[str, str | int | None], where: str) -> None:
    """Reads a few rows twice: what changes from one time to the next cannot be audited.

    Raises:
        InputError: If a row changes.
    """
    spread = np.linspace(0, len(dataset) - 1, min(len(dataset), READ_TWICE))
    for row in spread.astype(int).tolist():
        place = f"{where}, row {row}"
        once, again = (
            as_row(_part(readable(lambda at=row: dataset[at], place), keys["inputs"], place), place)
            for _ in range(2)
        )
        if once.shape != again.shape or not np.array_equal(
            once, again, equal_nan=once.dtype.kind == "f"
        ):
            raise InputError(
                f"{place}: expected the same values each time the item is read, got others the "
                "second time: switch random augmentation off"
            )
