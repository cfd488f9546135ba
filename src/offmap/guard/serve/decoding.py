"""Bodies become inputs of the guard's domain. Nothing is unpickled, and sizes come before memory.

| body | rows |
| --- | --- |
| JSON numbers | in the domain's own units |
| `.npy` of floats | in the domain's own units |
| bytes (uint8), PNG, JPEG | 0 to 255 become the domain's lowest to highest value |

Bytes of an image may also come as [h, w] or [h, w, c], as they do from files.
"""

import math
from io import BytesIO
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.lib import format as npy
from PIL import Image
from torch import Tensor

from offmap.attempt import Failure, InputError, attempt
from offmap.run import Domain
from offmap.sources.images import pixels

HEADER = 4096  # bytes of a .npy header: an honest one takes 128
DEEP = 16  # levels of nested lists
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG"}


class Items(NamedTuple):
    """The inputs of a request: those that fit, and a sentence for each that does not."""

    inputs: Tensor  # [m, *shape]
    places: tuple[int, ...]  # where each of them stands in the request
    misfits: dict[int, str]

    @property
    def total(self) -> int:
        """Inputs in the request."""
        return len(self.places) + len(self.misfits)


def numbers(data: object) -> np.ndarray:
    """Nested lists of JSON numbers as an array of float64 or int64.

    Raises:
        InputError: If they are something else, or of uneven lengths.
    """
    shape: list[int] = []
    level: list[Any] = [data]
    while level and {*map(type, level)} == {list}:
        lengths = {*map(len, level)}
        if len(lengths) > 1:
            raise InputError("expected lists of the same length at each level, got uneven ones")
        if len(shape) == DEEP:
            raise InputError(f"expected at most {DEEP} levels of lists, got more")
        shape.append(lengths.pop())
        level = [*chain.from_iterable(level)]
    kinds = {*map(type, level)}
    if not kinds <= {int, float}:
        got = ", ".join(sorted(WORDS.get(kind, "something else") for kind in kinds - {int, float}))
        raise InputError(f"expected numbers, got {got}")
    made = attempt(lambda: np.array(level, dtype=np.float64 if float in kinds else np.int64))
    if isinstance(made, Failure):
        made = attempt(lambda: np.array(level, dtype=np.float64))
    if isinstance(made, Failure):
        raise InputError("expected numbers that a computer holds, got larger ones")
    return made.reshape(shape)


WORDS = {str: "text", bool: "true or false", type(None): "null", dict: "an object", list: "lists"}


def array_of(data: bytes | bytearray) -> np.ndarray:
    """The array in the bytes of a `.npy` file; a view of them where it can be.

    Raises:
        InputError: If it is none, holds more than plain numbers, or ends early.
    """
    if not data.startswith(npy.MAGIC_PREFIX):
        raise InputError("expected the bytes of a .npy file, got something else")
    found = attempt(lambda: _header(BytesIO(data)))
    if isinstance(found, Failure):
        raise InputError(
            f"expected a .npy header of version 1.0 or 2.0 and at most {HEADER} bytes, "
            "got a broken one, or another"
        )
    shape, fortran, kind, start = found
    if kind.hasobject or kind.kind not in "fiub" or kind.itemsize > 8:
        raise InputError(
            "expected plain numbers of at most 64 bits, got another type: objects are pickles, "
            "which can run code and are never read; convert it with .astype"
        )
    if any(length < 0 for length in shape):
        raise InputError("expected lengths that are not negative in the .npy header")
    expected, got = math.prod(shape) * kind.itemsize, len(data) - start
    if expected != got:  # before any memory is asked for
        raise InputError(f"expected {expected} bytes behind the .npy header, got {got}")
    flat = np.frombuffer(data, kind, offset=start)
    array = flat.reshape(shape, order="F" if fortran else "C")
    return array.astype(kind.newbyteorder("="), copy=False)


def _header(file: BytesIO) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """Shape, order, type, and where the numbers begin.

    Raises:
        ValueError: If it is broken, too long, or of another version.
    """
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    read = readers[npy.read_magic(file)]
    return *read(file, max_header_size=HEADER), file.tell()


def picture(data: bytes | bytearray, kind: str, domain: Domain) -> Tensor:
    """A PNG or JPEG as one input [1, *shape]. Its size is checked before a pixel is decoded.

    Args:
        data: The file.
        kind: Its content type.
        domain: The contract of an input.

    Raises:
        InputError: If it is broken, of another size, or the domain holds no images.
    """
    height, width, channels = _frame(domain)
    image = attempt(lambda: Image.open(BytesIO(data), formats=(FORMATS[kind],)))
    if isinstance(image, Failure):
        raise InputError(f"expected a {FORMATS[kind]} image, got something else, or a broken one")
    if image.size != (width, height):
        raise InputError(
            f"expected an image {width} pixels wide and {height} high, "
            f"got {image.size[0]} by {image.size[1]}: resize it, as the page at / does"
        )
    made = attempt(lambda: _converted(image, channels))
    if isinstance(made, Failure):
        raise InputError("expected an image of 8 bits a channel, got another, or a broken one")
    return fitted(made.transpose(2, 0, 1).reshape(domain.shape), domain)


def _frame(domain: Domain) -> tuple[int, int, int]:
    """Height, width and channels of the domain's images.

    Raises:
        InputError: If it holds none that a file could hold.
    """
    shape = domain.shape if len(domain.shape) == 3 else (1, *domain.shape)
    if domain.kind != "image" or len(shape) != 3 or shape[0] not in MODES:
        raise InputError("expected vectors or tensors as JSON or .npy, got an image")
    return shape[1], shape[2], shape[0]


def _converted(image: Image.Image, channels: int) -> np.ndarray:
    """uint8 [h, w, c] with so many channels; gray is luma."""
    array = pixels(image, "image")
    if array.shape[2] == channels:
        return array
    plain = array[:, :, 0] if array.shape[2] == 1 else array
    array = np.array(Image.fromarray(plain).convert(MODES[channels]))
    return array[:, :, None] if array.ndim == 2 else array


def fitted(array: np.ndarray, domain: Domain) -> Tensor:
    """An array of inputs, or a single one, as [n, *shape] in the domain's type and range.

    Raises:
        InputError: If shape or type are none of the domain's.
    """
    shaped = _shaped(array, domain)
    if domain.dtype.is_floating_point:
        return _floats(shaped, domain)
    if shaped.dtype.kind not in "iu":
        raise InputError(f"expected whole numbers, got {array.dtype}")
    if shaped.dtype.kind == "u" and shaped.size and int(shaped.max()) > np.iinfo(np.int64).max:
        raise InputError("expected whole numbers of at most 63 bits, got larger ones")
    whole, kind = torch.from_numpy(shaped.astype(np.int64)), torch.iinfo(domain.dtype)
    if whole.numel() and not (kind.min <= int(whole.min()) and int(whole.max()) <= kind.max):
        raise InputError(f"expected whole numbers that fit into {domain.dtype}, got others")
    return whole.to(domain.dtype)


def _shaped(array: np.ndarray, domain: Domain) -> np.ndarray:
    """[n, *shape], from that, from one input without n, or from bytes with the channels last.

    Raises:
        InputError: If it is none of these.
    """
    if array.shape[1:] == domain.shape and array.ndim > len(domain.shape):
        return array
    if array.shape == domain.shape:
        return array[None]
    if array.dtype == np.uint8 and domain.kind == "image" and len(domain.shape) == 3:
        channels, height, width = domain.shape
        for tail in ((height, width, channels), (height, width) if channels == 1 else ()):
            if tail and array.shape[-len(tail) :] == tail and array.ndim - len(tail) in (0, 1):
                rows = array.reshape(-1, height, width, channels)
                return np.ascontiguousarray(rows.transpose(0, 3, 1, 2))
    expected = ", ".join(map(str, ("n", *domain.shape)))
    raise InputError(f"expected shape [{expected}], got {list(array.shape)}")


def _floats(array: np.ndarray, domain: Domain) -> Tensor:
    """Numbers as they are, bytes as shades between the domain's ends.

    Raises:
        InputError: If nobody knows what the numbers mean.
    """
    if array.dtype.kind == "b" or array.dtype == np.uint16:
        raise InputError(f"expected floats or bytes, got {array.dtype}: convert it to float32")
    if array.dtype != np.uint8:
        with np.errstate(over="ignore", invalid="ignore"):  # infinity breaks the contract later
            plain = array.astype(np.float64 if domain.dtype is torch.float64 else np.float32)
        return torch.from_numpy(np.ascontiguousarray(plain)).to(domain.dtype)
    low, high = domain.low, domain.high
    if low is None or high is None:
        if domain.kind == "image":
            raise InputError(
                "expected floats in the scale that the network was trained on, got bytes: "
                "the guard's domain has no ends that 0 and 255 could mean; fit it with a domain"
            )
        low, high = 0.0, 1.0  # as offmap reads bytes from files
    shades = torch.arange(256, dtype=torch.float64) * (high - low) / 255 + low
    return shades.to(domain.dtype)[torch.from_numpy(array.astype(np.int64))]


def items(rows: list[Any], domain: Domain) -> Items:
    """The inputs of a JSON request, one by one: a bad one spoils only itself."""
    misfits: dict[int, str] = {}
    fit: list[Tensor] = []
    places: list[int] = []
    for place, row in enumerate(rows):
        try:
            one = _one(numbers(row), domain)
        except InputError as error:
            misfits[place] = str(error)
        else:
            fit.append(one)
            places.append(place)
    empty = torch.empty((0, *domain.shape), dtype=domain.dtype)
    return Items(torch.stack(fit) if fit else empty, tuple(places), misfits)


def _one(array: np.ndarray, domain: Domain) -> Tensor:
    """One input, given in its shape or flat.

    Raises:
        InputError: If it is of another shape.
    """
    if array.ndim == 1 and array.size == math.prod(domain.shape):
        array = array.reshape(domain.shape)
    if array.shape != domain.shape:
        raise InputError(f"expected shape {list(domain.shape)}, got {list(array.shape)}")
    return fitted(array, domain)[0]
