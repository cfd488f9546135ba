"""Arrays saved by numpy, read from disk piece by piece wherever they lie there as they are."""

import zipfile
from collections.abc import Callable
from io import BufferedIOBase
from math import prod
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from numpy.lib import format as npy

from offmap.attempt import InputError, readable
from offmap.run import Split
from offmap.sources.build import Request, build
from offmap.sources.names import INPUTS, listed
from offmap.sources.store import torch_type
from offmap.table import RawFile, Table, TensorTable


class Header(NamedTuple):
    """What stands before the numbers, and how many bytes it takes."""

    length: int
    shape: tuple[int, ...]  # of a row
    fortran: bool
    kind: np.dtype
    size: int

    @property
    def nbytes(self) -> int:
        """Bytes of the numbers."""
        return self.length * prod(self.shape) * self.kind.itemsize


def load_npy(path: Path, request: Request) -> Split:
    """A split from `x.npy`, with targets and groups in files of their own, if any.

    Raises:
        InputError: If a file is missing, broken, or holds something else than plain numbers.
    """
    if request.inputs is not None:
        raise InputError(
            f"{path}: expected no name of inputs, got {request.inputs!r}: it is one array"
        )
    with path.open("rb") as file:
        header = _header(file, str(path))
    inputs = _table(
        path, header, 0, path.stat().st_size, lambda: path.open("rb"), request.memory, str(path)
    )
    beside = {
        what: None if name is None else _small(_beside(path, name, what), request.memory)
        for what, name in (("targets", request.targets), ("groups", request.groups))
    }
    return build(request, inputs, beside["targets"], beside["groups"], where=str(path))


def load_npz(path: Path, request: Request) -> Split:
    """A split from the arrays of one `.npz` file.

    Raises:
        InputError: If the file is broken, or does not hold arrays that can be told apart.
    """
    archive = readable(lambda: zipfile.ZipFile(path), str(path))
    with archive:
        members = {
            info.filename.removesuffix(".npy"): info
            for info in archive.infolist()
            if info.filename.endswith(".npy")
        }
        if not members:
            raise InputError(
                f"{path}: expected arrays in the archive, got {listed(archive.namelist())}: "
                "if these are weights, they are no data"
            )
        inputs, targets, groups = request.columns(list(members), str(path))
        if inputs is None:
            raise InputError(
                f"{path}: expected inputs under a usual name ({', '.join(INPUTS)}), "
                f"got {listed(list(members))}: name them with inputs=..."
            )
        if targets is None:
            request.must_have_targets([n for n in members if n not in (inputs, groups)], str(path))

        def values(name: str | None) -> np.ndarray | None:
            if name is None:
                return None
            return _array(_content(archive, members[name]), request.memory, f"{path}, {name!r}")

        table = _member(path, archive, members[inputs], request.memory)
        return build(request, table, values(targets), values(groups), where=str(path))


def _member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo, memory: int) -> Table:
    """One array of the archive: from disk where it is stored as it is, else in memory."""
    where = f"{path}, {info.filename.removesuffix('.npy')!r}"
    content = _content(archive, info)
    with readable(content, where) as file:
        header = _header(file, where)
    if info.compress_type != zipfile.ZIP_STORED:
        return TensorTable(_tensor(_array(content, memory, where, "is compressed")))
    with path.open("rb") as file:
        file.seek(info.header_offset + 26)  # lengths of the name and of what else comes before
        lengths = np.frombuffer(file.read(4), "<u2")
    start = info.header_offset + 30 + int(lengths.sum())
    return _table(path, header, start, info.file_size, content, memory, where)


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], BufferedIOBase]:
    return lambda: cast(BufferedIOBase, archive.open(info))


def _table(
    path: Path,
    header: Header,
    start: int,
    size: int,
    content: Callable[[], BufferedIOBase],
    memory: int,
    where: str,
) -> Table:
    """The array of `size` bytes (with its header) at `start` in the file.

    Raises:
        InputError: If the file is too short, or the array must be read whole and is too large.
    """
    expected = header.size + header.nbytes
    if size < expected:
        raise InputError(f"{where}: expected {expected:,} bytes, got {size:,}: the file ends early")
    if header.fortran and header.shape:
        return TensorTable(_tensor(_array(content, memory, where, "is in Fortran order")))
    if not header.kind.isnative:
        return TensorTable(_tensor(_array(content, memory, where, "has its bytes swapped")))
    kind = torch_type(header.kind, where)
    return RawFile(path, header.length, header.shape, kind, start + header.size)


def _header(file: BufferedIOBase, where: str) -> Header:
    """The header of an array; refused where what follows is not plain numbers in rows.

    Raises:
        InputError: If there is none, or it announces something else.
    """

    def read() -> tuple[tuple[int, ...], bool, np.dtype]:
        version = npy.read_magic(file)
        reader = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        return reader(file)

    shape, fortran, kind = readable(read, where)
    if kind.hasobject:
        raise InputError(
            f"{where}: expected plain numbers, got an object array, which is a pickle and can run "
            "code: convert it with .astype and save it again"
        )
    if not shape:
        raise InputError(f"{where}: expected an array of rows, got a single number")
    return Header(shape[0], tuple(shape[1:]), fortran, kind, file.tell())


def _array(
    content: Callable[[], BufferedIOBase], memory: int, where: str, why: str = "is read whole"
) -> np.ndarray:
    """The whole array, in memory, in native order.

    Raises:
        InputError: If it exceeds the budget, or is broken.
    """
    with readable(content, where) as file:
        header = _header(file, where)
    if header.nbytes > memory:
        raise InputError(
            f"{where}: the array {why} and takes {header.nbytes:,} bytes, more than the memory "
            f"budget of {memory:,}: save it with numpy.save as .npy in C order, which is read "
            "from disk"
        )
    with readable(content, where) as file:
        array = readable(lambda: npy.read_array(file, allow_pickle=False), where)
    return np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="), copy=False))


def _tensor(array: np.ndarray) -> torch.Tensor:
    torch_type(array.dtype, "inputs")
    return torch.from_numpy(array)


def _small(path: Path, memory: int) -> np.ndarray:
    """The targets or groups in a file."""
    return _array(lambda: path.open("rb"), memory, str(path))


def _beside(path: Path, name: str, what: str) -> Path:
    """The file `name`, here or in the folder of `path`.

    Raises:
        InputError: If there is none.
    """
    found = next((p for p in (Path(name), path.parent / name) if p.is_file()), None)
    if found is None:
        raise InputError(
            f"{path}: expected {what} in a .npy file of their own, got {name!r}, which is no file"
        )
    return found
