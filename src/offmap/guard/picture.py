"""An input beside the training examples nearest to it, with the guard's verdict."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Shaped, UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from offmap.attempt import InputError
from offmap.guard.answer import Answer, Neighbor
from offmap.guard.atlas import eight_bit
from offmap.guard.verdict import within

if TYPE_CHECKING:
    from offmap.guard.guard import Guard

LARGE, SMALL, GAP = 208, 112, 16  # sides of input and neighbors, and space between, in pixels
TITLE, TEXT = 22, 15  # sizes of letters
INK, PAPER, PALE = (32, 33, 36), (255, 255, 255), (232, 234, 237)
COLORS = {  # of the band behind the verdict: white letters on each have a contrast above 4.5
    "accepted": (24, 112, 60),
    "contract": (95, 99, 104),
    "off_map": (176, 32, 37),
    "uncertain": (150, 84, 0),
    "disputed": (150, 84, 0),
    "drift": (123, 31, 162),
}

MARK = (255, 0, 200)  # numbers that break the contract

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def picture(guard: "Guard", given: Shaped[Tensor, "..."], answer: Answer) -> Image.Image:
    """A picture of one answer: verdict and reason, the input, and its nearest training examples.

    Numbers that break the contract are drawn in a color of their own.

    Args:
        guard: Who answered.
        given: The input, [c, h, w] or [h, w].
        answer: What it said.

    Raises:
        InputError: If the guard is not one of images, or the input is no image.
    """
    kind = guard.facts.domain.kind
    if kind != "image" or given.ndim not in (2, 3):
        got = f"inputs of kind {kind}" if kind != "image" else f"shape {tuple(given.shape)}"
        raise InputError(
            f"expected an image to draw, got {got}: the answer names the nearest training examples "
            "by row"
        )
    shown = answer.neighbors
    right = LARGE + 2 * GAP
    width = max(right + len(shown) * (SMALL + GAP), right + 3 * (SMALL + GAP))
    lines = _wrapped(answer.detail, width - 2 * GAP)
    top = 3 * GAP + TITLE + len(lines) * (TEXT + 6)
    canvas = Image.new("RGB", (width, top + TEXT + GAP + LARGE + GAP), PAPER)
    draw = ImageDraw.Draw(canvas)
    _band(draw, answer, lines, (width, top - GAP))
    _caption(draw, GAP, top, "the input")
    canvas.paste(_fitted(_drawn(given, guard), LARGE), (GAP, top + TEXT + 8))
    if shown:
        _caption(draw, right, top, "nearest training examples")
    for place, neighbor in enumerate(shown):
        left = right + place * (SMALL + GAP)
        canvas.paste(_fitted(_known(neighbor, guard), SMALL), (left, top + TEXT + 8))
        _words(draw, neighbor, left, top + TEXT + 8 + SMALL + 4)
    return canvas


def _band(
    draw: ImageDraw.ImageDraw, answer: Answer, lines: Sequence[str], size: tuple[int, int]
) -> None:
    """The verdict and its reason on a ground of their color."""
    draw.rectangle((0, 0, *size), fill=COLORS[answer.reason])
    draw.text((GAP, GAP - 4), _verdict(answer), fill=PAPER, font=_font(TITLE))
    for number, line in enumerate(lines):
        place = (GAP, 2 * GAP + TITLE - 6 + number * (TEXT + 6))
        draw.text(place, line, fill=PAPER, font=_font(TEXT))


def _verdict(answer: Answer) -> str:
    said = "" if answer.label is None else f": {answer.label}"
    if answer.accepted:
        return f"accepted{said}"
    return f"refused: {answer.reason.replace('_', ' ')}" + (f" (would say{said[1:]})" * bool(said))


def _caption(draw: ImageDraw.ImageDraw, left: int, top: int, text: str) -> None:
    draw.text((left, top), text, fill=INK, font=_font(TEXT))


def _words(draw: ImageDraw.ImageDraw, neighbor: Neighbor, left: int, top: int) -> None:
    """What is known of a training example, below its picture."""
    label = [] if neighbor.label is None else [neighbor.label]
    for number, line in enumerate(
        [*label, f"distance {neighbor.distance:.3g}", f"row {neighbor.row}"]
    ):
        text = _cut(line, SMALL)
        draw.text((left, top + number * (TEXT + 4)), text, fill=INK, font=_font(TEXT))


def _drawn(given: Tensor, guard: "Guard") -> Image.Image:
    """The input as it is; what breaks the contract is marked."""
    sound = within(given[None], guard.facts)[0].cpu()
    shown = torch.where(sound, given.cpu(), 0)[None]
    pixels = _colored(eight_bit(shown, guard.facts.domain)[0])
    broken = ~(sound if sound.ndim == 2 else sound.all(dim=0))
    pixels[broken] = torch.tensor(MARK, dtype=torch.uint8)
    return Image.fromarray(pixels.numpy())


def _known(neighbor: Neighbor, guard: "Guard") -> Image.Image:
    """A training example; a field that says so where the guard may show none."""
    pictures = guard.atlas.pictures
    if len(pictures):
        return Image.fromarray(_colored(pictures[neighbor.place].cpu()).numpy())
    field = Image.new("RGB", (SMALL, SMALL), PALE)
    ImageDraw.Draw(field).text((GAP, SMALL // 2 - TEXT), "no picture", fill=INK, font=_font(TEXT))
    return field


def _colored(image: UInt8[Tensor, "..."]) -> UInt8[Tensor, "h w 3"]:
    """[c, h, w] or [h, w] as red, green and blue; of other than three channels the first counts."""
    planes = image[None] if image.ndim == 2 else image
    planes = planes[:3] if len(planes) in (3, 4) else planes[:1].expand(3, -1, -1)
    return planes.permute(1, 2, 0).contiguous()


def _fitted(image: Image.Image, side: int) -> Image.Image:
    """In a square of that side: few pixels stay as they are, many are averaged."""
    scale = side / max(image.size)
    width, height = (max(1, round(scale * length)) for length in image.size)
    how = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX
    field = Image.new("RGB", (side, side), PALE)
    field.paste(image.resize((width, height), how), ((side - width) // 2, (side - height) // 2))
    return field


def _font(size: int) -> Font:
    return ImageFont.load_default(size)


def _wrapped(text: str, width: int) -> list[str]:
    """Lines no wider than that many pixels."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and _font(TEXT).getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(_cut(word, width))
    return lines


def _cut(text: str, width: int) -> str:
    """As much of a text as there is room for."""
    if _font(TEXT).getlength(text) <= width:
        return text
    while text and _font(TEXT).getlength(f"{text}...") > width:
        text = text[:-1]
    return f"{text}..."
