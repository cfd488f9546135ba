"""Weights from a file, without running code that it may hold. Its content says what it is."""

import pickle
import re
import zipfile
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any
from warnings import warn

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from offmap.attempt import Failure, InputError, attempt, readable

WRAPPINGS = ("state_dict", "model_state_dict", "model")  # keys under which checkpoints put weights
PREFIXES = ("module.", "_orig_mod.", "model.")  # of DataParallel, torch.compile, Lightning
SHOWN = 3  # names in a message


class Format(Enum):
    """What a file of weights is, by its content."""

    SAFETENSORS = "safetensors"
    CHECKPOINT = "a file of torch.save"
    PROGRAM = "a program of torch.export"
    SCRIPT = "a TorchScript archive"


def format_of(path: Path) -> Format:
    """What the file is.

    Raises:
        InputError: If it is missing, or none of the known formats.
    """
    if not path.is_file():
        raise InputError(f"{path}: expected a file of weights, got none of that name")
    with path.open("rb") as file:
        head = file.read(16)
    if head.startswith(b"PK"):
        with readable(lambda: zipfile.ZipFile(path), str(path)) as archive:
            inside = {name.partition("/")[2] for name in archive.namelist()}
        if "archive_format" in inside:
            return Format.PROGRAM
        if "constants.pkl" in inside:
            return Format.SCRIPT
        if "data.pkl" in inside:
            return Format.CHECKPOINT
    if head[:1] == b"\x80" and head[1:2] <= b"\x05":
        return Format.CHECKPOINT
    if head[8:9] == b"{" and 8 + int.from_bytes(head[:8], "little") <= path.stat().st_size:
        return Format.SAFETENSORS
    raise InputError(
        f"{path}: expected weights as safetensors or from torch.save, got a file that begins with "
        f"the bytes {head[:8].hex(' ') or '(none)'}"
    )


def load_weights(model: nn.Module, path: str | Path, *, allow_pickle: bool = False) -> None:
    """Puts the weights of a file into the model, if they fit in every name and shape.

    A checkpoint that holds the weights under one of the usual keys is opened, and a prefix that
    wrappers put before every name is taken off where the names then fit exactly; a warning says
    so. Nothing else is guessed.

    Args:
        model: The model.
        path: safetensors, or a file of `torch.save`.
        allow_pickle: Read pickles that can run code. Only for files that you trust.

    Raises:
        InputError: If the file is broken, holds a pickle that was not allowed, no weights,
            weights of another model, or numbers that are not finite. The model is unchanged.
    """
    path = Path(path)
    weights = _fitted(_state(_read(path, allow_pickle), path), model, path)
    refuse_broken(weights.items(), str(path))
    model.load_state_dict(weights)


def refuse_broken(weights: Iterable[tuple[str, Tensor]], where: str) -> None:
    """Refuses tensors with NaN or infinities.

    Raises:
        InputError: If there is one; it says where and how many.
    """
    for name, tensor in weights:
        broken = tensor.numel() - int(tensor.isfinite().sum())
        if broken:
            raise InputError(
                f"{where}: expected finite weights, got {broken} numbers that are not, of "
                f"{tensor.numel()} in {name!r}"
            )


def _read(path: Path, allow_pickle: bool) -> Any:
    """What the file holds.

    Raises:
        InputError: If it is broken, or a pickle that was not allowed.
    """
    kind = format_of(path)
    if kind is Format.SAFETENSORS:
        return readable(lambda: load_file(path), str(path))
    if kind is not Format.CHECKPOINT:
        raise InputError(
            f"{path}: expected weights, got {kind.value}, which is a whole model: "
            "give it as the model, or save its state_dict()"
        )
    safe = attempt(lambda: _load(path, weights_only=True))
    if not isinstance(safe, Failure):
        return safe
    if not isinstance(safe.error, pickle.UnpicklingError):
        raise InputError(f"{path} cannot be read: {safe.summary}") from safe.error
    if allow_pickle:
        return readable(lambda: _load(path, weights_only=False), str(path))
    asked = re.search(r"GLOBAL (\S+)", safe.summary)
    raise InputError(
        f"{path}: expected plain weights, got a pickle"
        + (f" that asks for {asked[1]}" if asked else "")
        + ", which can run code when it is read: save the state_dict() as safetensors, "
        "or pass --allow-pickle (allow_pickle=True) if you trust the file"
    ) from safe.error


def _load(path: Path, *, weights_only: bool) -> Any:
    with path.open("rb") as file:  # given a path, torch goes by the name of the file
        return torch.load(file, weights_only=weights_only, map_location="cpu")


def _state(value: Any, path: Path) -> dict[str, Tensor]:
    """The tensors by name, out of the checkpoint around them.

    Raises:
        InputError: If there are none.
    """
    if isinstance(value, nn.Module):  # only from a pickle that was allowed
        value = value.state_dict()
    if not _is_state(value) and isinstance(value, Mapping):
        wrapped = [key for key in WRAPPINGS if _is_state(value.get(key))]
        if len(wrapped) == 1:
            warn(f"{path}: took the weights under {wrapped[0]!r} of the checkpoint", stacklevel=4)
            value = value[wrapped[0]]
    if not _is_state(value):
        held = _shown(map(str, value)) if isinstance(value, Mapping) else type(value).__name__
        raise InputError(
            f"{path}: expected tensors by name, got {held}: save the model's state_dict()"
        )
    return dict(value)


def _is_state(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and len(value) > 0
        and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in value.items())
    )


def _fitted(weights: dict[str, Tensor], model: nn.Module, path: Path) -> dict[str, Tensor]:
    """The weights under the names of the model.

    Raises:
        InputError: If they are those of another model.
    """
    own = model.state_dict()
    found, taken = weights, ""
    while found.keys() != own.keys():
        prefix = next((p for p in PREFIXES if all(name.startswith(p) for name in found)), None)
        if prefix is None:
            break
        found = {name.removeprefix(prefix): tensor for name, tensor in found.items()}
        taken += prefix
    if found.keys() != own.keys():
        found = weights
    elif taken:
        warn(f"{path}: took {taken!r} off the name of every weight", stacklevel=4)
    missing = [name for name in own if name not in found]
    extra = [name for name in found if name not in own]
    if missing or extra:
        lacks = f"it lacks {len(missing)} of {len(own)} ({_shown(missing)})" if missing else ""
        more = f"has {len(extra)} that the model has not ({_shown(extra)})" if extra else ""
        raise InputError(
            f"{path}: expected the weights of the model, got others: "
            f"{' and '.join(part for part in (lacks, more) if part)}"
        )
    for name, tensor in found.items():
        if tensor.shape != own[name].shape:
            raise InputError(
                f"{path}: expected {name!r} of shape {tuple(own[name].shape)}, "
                f"got {tuple(tensor.shape)}: was the model built with other settings?"
            )
    return found


def _shown(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:SHOWN]) + (", ..." if len(listed) > SHOWN else "")
