"""A folder with one folder of images for each class."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from offmap.attempt import InputError, readable
from offmap.run import Split
from offmap.sources.build import Request, build
from offmap.sources.images import decode
from offmap.sources.names import listed
from offmap.sources.store import Block, store

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")


def load_folder(root: Path, request: Request) -> Split:
    """A split from `root/class_name/*.png` (or jpg, ...): classes and files in sorted order.

    Images must agree in size and channels. They are decoded once.

    Raises:
        InputError: If there are no folders of classes, no images, or images that differ.
    """
    for what in ("inputs", "targets", "groups"):
        if (name := getattr(request, what)) is not None:
            raise InputError(f"{root}: expected no name of {what} for a folder, got {name!r}")
    folders = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not folders:
        raise InputError(
            f"{root}: expected a folder of images for each class, got "
            f"{listed(sorted(p.name for p in root.iterdir()))}"
        )
    files = [(folder.name, path) for folder in folders for path in _images(folder)]
    if not files:
        raise InputError(
            f"{root}: expected images in {listed([f.name for f in folders])}, got none"
        )
    table = store(
        _blocks([path for _, path in files]), len(files), memory=request.memory, cache=request.cache
    )
    numbers = {folder.name: number for number, folder in enumerate(folders)}
    return build(
        request,
        table,
        np.asarray([numbers[name] for name, _ in files]),
        None,
        where=str(root),
        file_names=list(numbers),
    )


def _images(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in ENDINGS and path.is_file() and not path.name.startswith(".")
    )


def _blocks(paths: Sequence[Path]) -> Iterator[Block]:
    for path in paths:
        where = str(path)
        yield where, decode(readable(path.read_bytes, where), where)[None]
