"""Finished work on disk: one file a task, written at once and whole, named by its fingerprint."""

import fcntl
import json
import shutil
import struct
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from offmap.attempt import InputError
from offmap.codec import decode, encode
from offmap.reading import Entry, Reading
from offmap.table import RawFile, Table

DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8,
    "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip


class Store:
    """The folder of one audit.

    `entries/` keeps readings for as long as the folder lives; `work/` keeps what readings are
    made of, and is emptied as soon as nothing needs it.

    Args:
        folder: Created where it does not exist.

    Raises:
        InputError: If the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with writing(folder):
            for name in ("entries", "work"):
                (folder / name).mkdir(parents=True, exist_ok=True)
            probe = folder / ".writable"
            probe.write_bytes(b"")
            probe.unlink()

    def locked(self) -> AbstractContextManager[None]:
        """Keep every other audit out of the folder; see `locked`."""
        return locked(self.folder)

    def clear(self) -> None:
        """Forget everything (`--fresh`)."""
        with writing(self.folder):
            for name in ("entries", "work"):
                shutil.rmtree(self.folder / name)
                (self.folder / name).mkdir()

    def clear_work(self) -> None:
        """Forget what readings were made of."""
        for path in (self.folder / "work").iterdir():
            path.unlink()

    # -- readings

    def put_entry(self, key: str, entry: Entry) -> None:
        """Keep an entry."""
        rows = entry.outcome.per_example if isinstance(entry.outcome, Reading) else None
        tensors = {} if rows is None else {"per_example": rows.detach().double().cpu()}
        self._write(self._entry(key), tensors, {"entry": json.dumps(encode(entry))})

    def entry(self, key: str) -> Entry | None:
        """The entry of that key; None if it was never finished."""
        path = self._entry(key)
        if not path.exists():
            return None
        header, tables = _open(path)
        return with_rows(decode(json.loads(header["entry"])), tables.get("per_example"))

    # -- what they are made of

    def put(self, key: str, tensors: Mapping[str, Tensor], seconds: float) -> None:
        """Keep the result of a task."""
        self._write(self._work(key), tensors, {"seconds": repr(seconds)})

    def has(self, key: str) -> bool:
        """Whether the result of that task is here."""
        return self._work(key).exists()

    def get(self, key: str) -> tuple[dict[str, Table], float]:
        """The result of a task as tables on disk, and the seconds that it took."""
        header, tables = _open(self._work(key))
        return tables, float(header["seconds"])

    def drop(self, key: str) -> None:
        """Nothing needs it any more."""
        self._work(key).unlink(missing_ok=True)

    def _entry(self, key: str) -> Path:
        return self.folder / "entries" / f"{key}.safetensors"

    def _work(self, key: str) -> Path:
        return self.folder / "work" / f"{key}.safetensors"

    def _write(self, path: Path, tensors: Mapping[str, Tensor], header: dict[str, str]) -> None:
        plain = {name: tensor.contiguous() for name, tensor in tensors.items()}
        temporary = path.with_suffix(".part")
        with writing(self.folder):
            temporary.write_bytes(save(plain, header))
            temporary.replace(path)


def with_rows(entry: Entry, rows: Table | None) -> Entry:
    """The entry, with its reading's `per_example` put back."""
    if rows is None or not isinstance(entry.outcome, Reading):
        return entry
    return replace(entry, outcome=replace(entry.outcome, per_example=rows.all()))


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """In this block no other run works in the folder.

    Raises:
        InputError: If another one does already.
    """
    with writing(folder):
        file = (folder / ".lock").open("w")
    with file:
        if not _lock(file.fileno()):
            raise InputError(
                f"another run is at work in {folder}: wait for it, or give another --out"
            )
        yield


@contextmanager
def writing(place: Path, option: str = "--out") -> Iterator[None]:
    """Turns what the file system says into one sentence.

    Raises:
        InputError: If the place cannot be written, or the disk is full.
    """
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{place}: expected to write there, got {error.strerror or error}: free some space or "
            f"give another {option}; what was finished is kept"
        ) from error


def _open(path: Path) -> tuple[dict[str, str], dict[str, Table]]:
    """Header and tensors of a safetensors file, the tensors as tables read on demand."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header: dict[str, Any] = json.loads(file.read(length))
    metadata = header.pop("__metadata__", {})
    tables: dict[str, Table] = {
        name: RawFile(
            path,
            said["shape"][0],
            said["shape"][1:],
            DTYPES[said["dtype"]],
            8 + length + said["data_offsets"][0],
        )
        for name, said in header.items()
    }
    return metadata, tables


def _lock(descriptor: int) -> bool:
    """Take the lock of an open file, unless somebody has it. It goes with the process."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
