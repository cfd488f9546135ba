"""Small pictures of the examples that galleries show; bounded in number, size and bytes."""

import base64
import io
from collections.abc import Mapping, Sequence

import torch
from PIL import Image
from torch import Tensor

from offmap.figures import Gallery
from offmap.reading import Entry
from offmap.run import Domain, Split

ROWS = 24  # of a gallery
PICTURES = 400  # in all
SIDES = (96, 64, 48, 32)  # of a picture, at most; the first that fits the budget
BUDGET = 800_000  # bytes of base64 in all


def thumbnails(
    splits: Mapping[str, Split], entries: Sequence[Entry], domain: Domain
) -> dict[str, dict[str, str]]:
    """PNG pictures in base64, by split and row, of what the galleries of the entries show.

    Args:
        splits: Every split by name.
        entries: What the measures found.
        domain: Shape and range of an input; anything but images gives no pictures.
    """
    if domain.kind != "image":
        return {}
    images = [
        (split, row, _picture(image, domain))
        for split, rows in _wanted(splits, entries).items()
        for row, image in zip(rows, splits[split].take(torch.tensor(rows)).inputs, strict=True)
    ]
    made: list[str] = []
    for side in SIDES:
        made = [_png(image, side) for *_, image in images]
        if sum(map(len, made)) <= BUDGET:
            break
    pictures: dict[str, dict[str, str]] = {}
    room = BUDGET
    for (split, row, _), png in zip(images, made, strict=True):
        room -= len(png)
        if room >= 0:
            pictures.setdefault(split, {})[str(row)] = png
    return pictures


def _wanted(splits: Mapping[str, Split], entries: Sequence[Entry]) -> dict[str, list[int]]:
    """Rows by split: the first of every gallery, then the second of every one, each once."""
    galleries = [
        figure
        for entry in entries
        for figure in (entry.reading.figures if entry.reading else ())
        if isinstance(figure, Gallery)
    ]
    wanted: dict[tuple[str, int], None] = {}
    for place in range(ROWS):  # the first row of all, the second of all, ...
        for figure in (figure for figure in galleries if place < len(figure.rows)):
            for split, row in zip(figure.columns, figure.rows[place].tolist(), strict=True):
                if split in splits and 0 <= row < len(splits[split]):
                    wanted[split, row] = None
    rows: dict[str, list[int]] = {}
    for split, position in list(wanted)[:PICTURES]:
        rows.setdefault(split, []).append(position)
    return rows


def _picture(image: Tensor, domain: Domain) -> Image.Image:
    """[c, h, w] or [h, w] in the domain's range -> 8 bits; of other than 3 channels the first."""
    values = image.detach().cpu().double()
    values = values[None] if values.ndim == 2 else values
    values = values if len(values) == 3 else values[:1]
    low = values.min().item() if domain.low is None else domain.low
    high = values.max().item() if domain.high is None else domain.high
    scaled = (values - low) / (high - low if high > low else 1.0)
    pixels = (255 * scaled.nan_to_num(0.0)).round().clamp(0, 255).byte()
    array = pixels[0] if len(pixels) == 1 else pixels.permute(1, 2, 0).contiguous()
    return Image.fromarray(array.numpy())


def _png(image: Image.Image, side: int) -> str:
    """At most `side` pixels on the longer side, in base64."""
    if max(image.size) > side:
        image = image.copy()
        image.thumbnail((side, side))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
