"""Stretching the data moves no point into its hull or out of it."""

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.worlds import gaussian, rotation
from offmap.numerics.hull import membership


@claim(
    says="An affine map of the data, however long it makes one axis, moves no fresh point into the "
    "hull or out of it.",
    effect="Share of fresh points whose side changes when axes are stretched up to so much",
    below=1e-9,
    scales={
        "smoke": {"dimension": 5, "count": 135, "queries": 20, "stretch": (1e3,)},
        "desk": {"dimension": 8, "count": 1084, "queries": 200, "stretch": (1e1, 1e3, 1e5)},
        "full": {"dimension": 12, "count": 13608, "queries": 500, "stretch": (1e1, 1e3, 1e5)},
    },
    seconds={"smoke": 0.15, "desk": 0.8, "full": 10.0},
    paper=Paper("Kabluchko & Zaporozhets 2020", "https://arxiv.org/abs/1704.04968"),
)
def hull_affine(
    *,
    dimension: int,
    count: int,
    queries: int,
    stretch: tuple[float, ...],
    generator: torch.Generator,
) -> Trial:
    """Gaussian points and queries, then both turned, stretched along each axis, turned and shifted.

    The axes' lengths go from 1 to the stretch in equal ratios. So an ellipsoid has the share of the
    isotropic Gaussian, and counting dimensions by variance alone says nothing of the hull. The
    control moves the queries alone.
    """
    points, fresh = (gaussian(n, dimension, generator=generator) for n in (count, queries))
    before = membership(points, fresh).inside
    parts = {"share inside": before.double().mean().item()}
    for most in stretch:
        lengths = most ** torch.linspace(0, 1, dimension, dtype=torch.double)
        first, last = (rotation(dimension, generator=generator) for _ in range(2))
        matrix = first @ (lengths[:, None] * last)
        shift = gaussian(1, dimension, generator=generator)
        after = membership(points @ matrix + shift, fresh @ matrix + shift).inside
        parts[f"share that changes sides, stretched by {most:g}"] = _changed(before, after)
    effect = max(value for name, value in parts.items() if name.startswith("share that"))
    moved = membership(points, 2 * fresh).inside
    return Trial(effect, parts | {"control: queries alone, doubled": _changed(before, moved)})


def _changed(before: torch.Tensor, after: torch.Tensor) -> float:
    return (before != after).double().mean().item()
