"""The training examples that a guard can name and show."""

from collections.abc import Iterator
from math import prod
from typing import NamedTuple

import torch
from jaxtyping import Float, Int, Shaped, UInt8
from torch import Tensor, nn
from torch.nn import functional

from offmap.numerics.bank import nearest
from offmap.run import Domain, Split
from offmap.score import Known, Seen
from offmap.seeds import sample
from offmap.table import CHUNK_BYTES

SIDE = 64  # of a picture, at most, in pixels
MEMORY_SHARE = 8  # the points may take this part of the memory


class Near(NamedTuple):
    """The nearest examples of the atlas, nearest first."""

    distance: Float[Tensor, "n k"]
    place: Int[Tensor, "n k"]  # in the atlas
    row: Int[Tensor, "n k"]  # of the training split


class Atlas(nn.Module):
    """Training examples as points, with what people can be told of them.

    Args:
        points: Their features, or inputs where the network shows none.
        center: Subtracted before distances are taken: it keeps them exact.
        rows: Where they stand in the training split.
        targets: Their classes; empty where there are none.
        pictures: What they look like, 8 bits; empty where they are no images, or nobody may see.
        by_features: Whether the points are features.
    """

    points: Tensor
    center: Tensor
    rows: Tensor
    targets: Tensor
    pictures: Tensor

    def __init__(
        self,
        points: Float[Tensor, "m d"],
        center: Float[Tensor, " d"],
        rows: Int[Tensor, " m"],
        targets: Int[Tensor, " t"],
        pictures: UInt8[Tensor, "p ..."],
        *,
        by_features: bool,
    ) -> None:
        super().__init__()
        parts = {
            "points": points, "center": center, "rows": rows, "targets": targets,
            "pictures": pictures,
        }  # fmt: skip
        for name, part in parts.items():
            self.register_buffer(name, part)
        self.by_features = by_features

    def __len__(self) -> int:
        return len(self.rows)

    def forward(self, seen: Seen, k: int) -> Near:
        """The `k` nearest examples of each row."""
        given = seen.features if self.by_features else seen.inputs.flatten(1).float()
        assert given is not None
        distance, place = nearest(given - self.center, self.points, k=min(k, len(self)))
        return Near(distance, place, self.rows[place])


def atlas(
    known: Known, split: Split, domain: Domain, *, most: int, pictures: bool, seed: int
) -> Atlas:
    """An atlas of at most `most` training examples, drawn at random.

    Args:
        known: What is known of the training split.
        split: The training split.
        domain: The contract of an input.
        most: Examples; fewer where they would take more than a share of the memory.
        pictures: Whether it may hold what images look like, in small.
        seed: Of the choice.
    """
    numbers = prod(split.shape) if known.features is None else known.features.dimension
    room = known.memory // (MEMORY_SHARE * 4 * max(1, numbers))
    rows = sample(seed, "atlas", len(split), max(1, min(most, room)))
    points = (
        torch.cat([part.flatten(1).float() for part in _taken(split, rows)])
        if known.features is None
        else known.features.take(rows).float()
    )
    center = points.mean(dim=0)
    none = torch.empty(0, dtype=torch.int64)
    shown = pictures and domain.kind == "image"
    return Atlas(
        points - center,
        center,
        rows,
        none if known.targets is None else known.targets[rows],
        torch.cat([eight_bit(small(part), domain) for part in _taken(split, rows)])
        if shown
        else none.byte(),
        by_features=known.features is not None,
    )


def _taken(split: Split, rows: Int[Tensor, " m"]) -> Iterator[Tensor]:
    """The inputs at those rows, some at a time: as they are they may be large."""
    step = max(1, CHUNK_BYTES // max(1, split.table.row_bytes))
    for some in rows.split(step):
        yield split.table.take(some)


def small(images: Shaped[Tensor, "n ..."]) -> Float[Tensor, "n ..."]:
    """Images [n, c, h, w] or [n, h, w] with no side longer than `SIDE` pixels."""
    values = images.detach().cpu().float()
    long = max(values.shape[-2:])
    if long <= SIDE:
        return values
    size = [max(1, round(SIDE * side / long)) for side in values.shape[-2:]]
    planes = values.reshape(len(values), -1, *values.shape[-2:])
    made = functional.interpolate(planes, size=size, mode="area")
    return made.reshape(*values.shape[:-2], *size)


def eight_bit(images: Shaped[Tensor, "n ..."], domain: Domain) -> UInt8[Tensor, "n ..."]:
    """Images in the domain's range as 8 bits a number; where it is open, each in its own."""
    values = images.detach().cpu().float()
    flat = values.flatten(1)
    ones = [-1] + [1] * (values.ndim - 1)
    low = flat.amin(dim=1).reshape(ones) if domain.low is None else domain.low
    high = flat.amax(dim=1).reshape(ones) if domain.high is None else domain.high
    width = torch.as_tensor(high - low)
    scaled = (values - low) / torch.where(width > 0, width, 1.0)
    return (255 * scaled).round().clamp(0, 255).byte()
