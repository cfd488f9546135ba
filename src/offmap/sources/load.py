"""One function for every kind of file, which looks at the content and never at the name."""

import codecs
from collections.abc import Sequence
from pathlib import Path

from offmap.attempt import InputError
from offmap.run import DEFAULT_MEMORY, Split, Task
from offmap.sources.arrays import load_npy, load_npz
from offmap.sources.build import Request
from offmap.sources.csv import load_csv
from offmap.sources.folder import load_folder
from offmap.sources.parquet import load_parquet
from offmap.sources.text import from_text

LOADERS = {
    b"PK\x03\x04": load_npz,
    b"PK\x05\x06": load_npz,  # an archive with nothing in it
    b"\x93NUMPY": load_npy,
    b"PAR1": load_parquet,
}
PICKLES = tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))
HEAD = 4096  # bytes that tell text from anything else


def load_split(
    path: str | Path,
    *,
    name: str = "split",
    inputs: str | None = None,
    targets: str | None = None,
    groups: str | None = None,
    memory: int = DEFAULT_MEMORY,
    task: Task | None = None,
    class_names: Sequence[str] | None = None,
    cache: Path | None = None,
) -> Split:
    """A split from an npz, npy, parquet or CSV file, or from a folder of images by class.

    Arrays and columns go by usual names (`x`, `images`, ..., `y`, `labels`, ..., `groups`), also
    with the name of the split (`x_test`), where they are not given. Images become float32 in
    [0, 1], channels first; string labels become classes in sorted order.

    Args:
        path: The file or folder; its content says what it is.
        name: Name of the split.
        inputs: Name of the array or column of inputs; for columns of numbers several, 'a,b'.
        targets: Name of the array or column of targets; for `.npy`, another file.
        groups: Name of the array or column of groups; for `.npy`, another file.
        memory: Budget of the split, in bytes; what exceeds it is read in pieces.
        task: What the model does, where the type of the targets does not tell: with
            "classification", whole numbers that are stored as floats are classes; with
            "tokens", text is read by characters; with "reconstruction", targets are left out.
        class_names: The classes by number, to number labels as another split does.
        cache: Folder for images that exceed half of `memory` once decoded; default: the system's
            folder for temporary files. They are removed with the split.

    Raises:
        InputError: If there is no such file, its content is not understood or broken, or its
            parts do not fit together.
    """
    path = Path(path)
    request = Request(name, inputs, targets, groups, memory, task, class_names, cache)
    if path.is_dir():
        return load_folder(path, request)
    if not path.is_file():
        raise InputError(f"{path}: expected a file or a folder, got none of that name")
    with path.open("rb") as file:
        head = file.read(HEAD)
    for magic, load in LOADERS.items():
        if head.startswith(magic):
            return load(path, request)
    _refuse_other(path, head)
    if task == "tokens":
        return from_text(path, name=name, memory=memory, class_names=class_names)
    return load_csv(path, request)


def _refuse_other(path: Path, head: bytes) -> None:
    """Refuses what is neither of the known formats nor text.

    Raises:
        InputError: If it is something else.
    """
    if not head:
        raise InputError(f"{path}: expected data, got an empty file")
    if head.startswith(PICKLES):
        raise InputError(
            f"{path}: expected data, got a pickle, which can run code when it is read: "
            "save the arrays with numpy.savez"
        )
    if b"\0" in head or not _utf8(head):
        raise InputError(
            f"{path}: expected an npz, npy, parquet or CSV file or a folder of images, got a file "
            f"that begins with the bytes {head[:8].hex(' ')}"
        )


def _utf8(head: bytes) -> bool:
    """Whether the bytes are the beginning of a text; the last character may be cut."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True
