"""Targets and groups, as people store them, as tensors. Whatever is not clear is refused by row."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from offmap.attempt import InputError
from offmap.run import Task
from offmap.sources.names import listed

Names = tuple[str, ...]


def as_targets(
    values: Any,
    *,
    task: Task | None = None,
    file_names: Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
    where: str = "targets",
) -> tuple[Tensor, Names | None]:
    """Targets [n, ...] as offmap has them, with the names of the classes if there are any.

    Strings are classes, numbered in sorted order or as in `class_names`. Whole numbers are
    classes [n] or tokens [n, t], int64; floats are regression targets [n, d], float32, and so
    are whole numbers that are stored as floats, unless `task` says otherwise.

    Args:
        values: Numbers or strings, [n], [n, 1] or [n, ...].
        task: What the model does, where the type of the values does not tell.
        file_names: The classes by number, as the file calls them.
        class_names: The classes by number, as the model has them: labels go by name.
        where: What holds the targets, for messages.

    Raises:
        InputError: If values are missing, not finite, negative, of a type that is no target,
            or not among `class_names`.
    """
    array = _array(values, where)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if file_names and class_names and array.dtype.kind in "iu":
        array = _called(array, file_names, where)
    if array.dtype.kind == "U":
        return _classes(array, class_names, where)
    names = tuple(class_names or file_names or ()) or None
    if task in ("classification", "tokens"):
        return _whole(array, task, where), names
    if array.dtype.kind == "f" or task == "regression":
        return _real(array, where), None
    return _whole(array, task, where), names


def as_groups(values: Any, where: str = "groups") -> Int[Tensor, " n"]:
    """A whole number for each example; strings are numbered in sorted order.

    Raises:
        InputError: If they are neither, or not one an example.
    """
    array = _array(values, where)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or array.dtype.kind == "f":
        raise InputError(
            f"{where}: expected one whole number or string for each example, "
            f"got {array.dtype} of shape {array.shape}"
        )
    if array.dtype.kind == "U":
        return torch.from_numpy(np.unique(array, return_inverse=True)[1].astype(np.int64))
    return torch.from_numpy(array.astype(np.int64))


def _array(values: Any, where: str) -> np.ndarray:
    """Numbers (bool, int, uint, float) or strings, at least one; nothing missing.

    Raises:
        InputError: If they are of another type, or something is missing.
    """
    array = np.asarray(values)
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8")
    if array.dtype.kind == "T" or _strings(array):
        array = array.astype(np.str_)
    if array.dtype.kind not in "biufU" or array.ndim == 0:
        missing = (
            _first(array == np.array(None)) if array.dtype.kind == "O" and array.ndim else None
        )
        if missing is not None:
            raise InputError(
                f"{where}: expected a target for each example, got none at row {missing}"
            )
        raise InputError(
            f"{where}: expected whole numbers, floats or strings, one row an example, "
            f"got {array.dtype} of shape {array.shape}"
        )
    if array.dtype.kind == "U" and (row := _first(array == "")) is not None:
        raise InputError(
            f"{where}: expected a label for each example, got an empty one at row {row}"
        )
    return array


def _strings(array: np.ndarray) -> bool:
    return array.dtype.kind == "O" and all(isinstance(value, str) for value in array.flat)


def _first(bad: np.ndarray) -> int | None:
    """The first row with anything that is true in it."""
    rows = np.flatnonzero(bad.reshape(len(bad), -1).any(axis=1))
    return int(rows[0]) if len(rows) else None


def _called(array: np.ndarray, names: Sequence[str], where: str) -> np.ndarray:
    """Class numbers as the names that the file gives them.

    Raises:
        InputError: If a number has no name.
    """
    if (row := _first((array < 0) | (array >= len(names)))) is not None:
        raise InputError(
            f"{where}: expected a class below {len(names)}, as many as the file names, "
            f"got {array[row]} at row {row}"
        )
    return np.asarray(names, dtype=np.str_)[array]


def _classes(
    labels: np.ndarray, class_names: Sequence[str] | None, where: str
) -> tuple[Int[Tensor, " n"], Names]:
    """Strings as class numbers.

    Raises:
        InputError: If a label is not among `class_names`.
    """
    if labels.ndim != 1:
        raise InputError(f"{where}: expected one label for each example, got shape {labels.shape}")
    found, index = np.unique(labels, return_inverse=True)
    names = tuple(class_names or found.tolist())
    number = {name: i for i, name in enumerate(names)}
    strange = [name for name in found.tolist() if name not in number]
    if strange:
        row = _first(labels == strange[0])
        raise InputError(
            f"{where}: expected a label among {listed(names)}, got {strange[0]!r} at row {row}"
        )
    numbers = np.asarray([number[name] for name in found.tolist()], dtype=np.int64)
    return torch.from_numpy(numbers[index]), names


def _whole(array: np.ndarray, task: Task | None, where: str) -> Int[Tensor, "n ..."]:
    """Class or token numbers.

    Raises:
        InputError: If a value is negative or not whole, or a class is not one number.
    """
    if array.dtype.kind == "f":
        broken = ~np.isfinite(array) | (array != np.floor(array))
        if (row := _first(broken)) is not None:
            raise InputError(f"{where}: expected whole numbers, got {array[row]} at row {row}")
    if task == "classification" and array.ndim != 1:
        raise InputError(
            f"{where}: expected one class for each example, got shape {array.shape}: "
            "where rows are one-hot or scores, give their argmax"
        )
    if (row := _first(array < 0)) is not None:
        raise InputError(f"{where}: expected classes from 0 on, got {array[row]} at row {row}")
    return torch.from_numpy(array.astype(np.int64))


def _real(array: np.ndarray, where: str) -> Tensor:
    """Regression targets [n, d].

    Raises:
        InputError: If one is not finite.
    """
    real = array.astype(np.float32)
    if (row := _first(~np.isfinite(real))) is not None:
        raise InputError(f"{where}: expected finite numbers, got {array[row]} at row {row}")
    return torch.from_numpy(real if real.ndim > 1 else real[:, None])
