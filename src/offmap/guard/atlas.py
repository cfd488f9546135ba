"""The training examples that a guard can name and show."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int, Shaped, UInt8
from torch import Tensor, nn

from offmap.numerics.bank import nearest
from offmap.run import Domain, Split
from offmap.score import Known, Seen
from offmap.seeds import sample


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
        most: Examples.
        pictures: Whether it may hold what images look like.
        seed: Of the choice.
    """
    rows = sample(seed, "atlas", len(split), most)
    chosen = split.table.take(rows)
    points = (
        chosen.flatten(1).float() if known.features is None else known.features.take(rows).float()
    )
    center = points.mean(dim=0)
    none = torch.empty(0, dtype=torch.int64)
    shown = pictures and domain.kind == "image"
    return Atlas(
        points - center,
        center,
        rows,
        none if known.targets is None else known.targets[rows],
        eight_bit(chosen, domain) if shown else none.byte(),
        by_features=known.features is not None,
    )


def eight_bit(images: Shaped[Tensor, "n ..."], domain: Domain) -> UInt8[Tensor, "n ..."]:
    """Images in the domain's range (or their own, where it is open) as 8 bits a number."""
    values = images.detach().cpu().float()
    low = values.min().item() if domain.low is None else domain.low
    high = values.max().item() if domain.high is None else domain.high
    return (255 * (values - low) / ((high - low) or 1.0)).round().clamp(0, 255).byte()
