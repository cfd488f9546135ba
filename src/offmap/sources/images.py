"""The one place where bytes become numbers in [0, 1] and channels go first.

| stored | served |
| --- | --- |
| uint8 [n, h, w] | float32 [n, 1, h, w] in [0, 1] |
| uint8 [n, h, w, c] with c in 1, 3, 4 | float32 [n, c, h, w] in [0, 1] |
| uint8 [n, c, h, w] with c in 1, 3, 4 | float32 [n, c, h, w] in [0, 1] |
| uint8 of another shape | float32 of that shape in [0, 1] |
| anything else | as it is |

Where both the first and the last axis of an image could be the channels, the last one is.
"""

from io import BytesIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from offmap.attempt import InputError, readable
from offmap.run import Task
from offmap.table import Table

CHANNELS = (1, 3, 4)
MODES = {"1": "L", "L": "L", "RGB": "RGB", "RGBA": "RGBA", "CMYK": "RGB", "YCbCr": "RGB"}


class PixelTable(Table):
    """Images held or streamed as bytes and served as float32 in [0, 1], channels first.

    Args:
        pixels: uint8 rows; a quarter of the memory that the floats would take.

    Raises:
        ValueError: If the rows are not bytes.
    """

    def __init__(self, pixels: Table) -> None:
        if pixels.dtype != torch.uint8:
            raise ValueError(f"expected rows of uint8, got {pixels.dtype}")
        self.pixels = pixels
        self.dtype = torch.float32
        self.shape = tuple(_channels_first(torch.empty((0, *pixels.shape))).shape[1:])

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, rows: Tensor) -> Tensor:
        """See `Table.take`."""
        return self._served(self.pixels.take(rows))

    def read(self, start: int, stop: int) -> Tensor:
        """See `Table.read`."""
        return self._served(self.pixels.read(start, stop))

    def _served(self, pixels: Tensor) -> Tensor:
        return _channels_first(pixels).contiguous().float().div_(255)


def _channels_first(pixels: Tensor) -> Tensor:
    if pixels.ndim == 3:
        return pixels.unsqueeze(1)
    if pixels.ndim == 4 and pixels.shape[-1] in CHANNELS:
        return pixels.permute(0, 3, 1, 2)
    return pixels


class TokenTable(Table):
    """Token numbers held in any whole-number type and served as int64."""

    def __init__(self, tokens: Table) -> None:
        self.tokens = tokens
        self.shape, self.dtype = tokens.shape, torch.int64

    def __len__(self) -> int:
        return len(self.tokens)

    def take(self, rows: Tensor) -> Tensor:
        """See `Table.take`."""
        return self.tokens.take(rows).long()

    def read(self, start: int, stop: int) -> Tensor:
        """See `Table.read`."""
        return self.tokens.read(start, stop).long()


def as_inputs(table: Table, task: Task | None = None, where: str = "inputs") -> Table:
    """The rows as a model takes them: bytes as pixels, token numbers as int64, the rest as it is.

    Raises:
        InputError: If the task is about tokens and the rows are not whole numbers, or if they
            are of an unsigned type whose scale nobody knows.
    """
    if task == "tokens":
        if table.dtype.is_floating_point:
            raise InputError(f"{where}: expected whole numbers as tokens, got {table.dtype}")
        return table if table.dtype == torch.int64 else TokenTable(table)
    if table.dtype == torch.uint16:
        raise InputError(
            f"{where}: expected bytes or floats, got uint16, whose scale is not known: "
            "divide it by its largest value and save it as float32"
        )
    return PixelTable(table) if table.dtype == torch.uint8 else table


def pixels(image: Image.Image, where: str) -> np.ndarray:
    """An image as uint8 [h, w, c]; palettes and print colors become RGB, clear ones RGBA.

    Raises:
        InputError: If a channel has more than 8 bits, or the file is broken.
    """
    mode = MODES.get(image.mode)
    if image.mode in ("P", "LA", "PA"):
        mode = "RGBA" if image.has_transparency_data else "RGB"
    if mode is None:
        raise InputError(
            f"{where}: expected an image of 8 bits a channel, got mode {image.mode!r}: convert it"
        )
    array = readable(lambda: np.array(image if image.mode == mode else image.convert(mode)), where)
    return array if array.ndim == 3 else array[:, :, None]


def decode(data: bytes, where: str) -> np.ndarray:
    """The bytes of an image file (PNG, JPEG, ...) as uint8 [h, w, c].

    Raises:
        InputError: If they are no image, a broken one, or one of more than 8 bits a channel.
    """
    return pixels(readable(lambda: Image.open(BytesIO(data)), where), where)
