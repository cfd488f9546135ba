"""Up to about 2^(d/2) points of a ball are all vertices of their hull."""

import torch

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.interpolation.hulls import all_vertices, shares_inside
from offmap.lab.worlds import ball


@claim(
    says="Of 2^(d/2) points drawn uniformly from a ball, all are vertices of their hull.",
    effect="Share of samples of 2^(d/2) points in which every point is a vertex, in the largest "
    "dimension",
    above=0.95,
    scales={
        "smoke": {"dimensions": (10, 12), "samples": 20, "factors": (16.0,)},
        "desk": {"dimensions": (10, 12, 14, 16), "samples": 60, "factors": (1.0, 4.0, 16.0, 64.0)},
        "full": {
            "dimensions": (10, 12, 14, 16, 18, 20),
            "samples": 200,
            "factors": (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0),
        },
    },
    seconds={"smoke": 0.2, "desk": 8.0, "full": 300.0},
    paper=Paper("Bonnet et al. 2019", "https://arxiv.org/abs/1802.04089"),
)
def barany_furedi_vertices(
    *,
    dimensions: tuple[int, ...],
    samples: int,
    factors: tuple[float, ...],
    generator: torch.Generator,
) -> Trial:
    """Samples of floor(2^(d/2)) points; each vertex is proved by a direction in which it leads.

    Barany and Furedi (1988, Probability Theory and Related Fields 77) put the threshold between
    2^(d/2) / d^eps and 2^(d/2) d^(3/4 + eps). The control, in the smallest dimension: with more
    points this ends, while still hardly a fresh point lies inside.
    """
    parts = {}
    for dimension in dimensions:
        parts[f"{dimension} dimensions: samples of vertices only"] = _share(
            dimension, int(2 ** (dimension / 2)), samples, generator
        )
    effect = parts[f"{dimensions[-1]} dimensions: samples of vertices only"]
    d, few = dimensions[0], max(4, samples // 5)
    counts = [int(factor * 2 ** (d / 2)) for factor in factors]
    curve = [_share(d, count, few, generator) for count in counts]
    inside = [
        shares_inside(
            lambda n: ball(n, d, generator=generator), count, hulls=2, queries=25
        ).mean().item()
        for count in counts
    ]  # fmt: skip
    parts[f"{d} dimensions, {counts[-1]} points: samples of vertices only"] = curve[-1]
    parts[f"{d} dimensions, {counts[-1]} points: fresh points inside"] = inside[-1]
    return Trial(
        effect,
        parts,
        (
            Curve(
                f"Points of a ball in {d} dimensions", "points", "share",
                torch.tensor(counts, dtype=torch.double),
                {"samples of vertices only": torch.tensor(curve),
                 "fresh points inside": torch.tensor(inside)},
                log_x=True,
            ),
        ),
    )  # fmt: skip


def _share(dimension: int, count: int, samples: int, generator: torch.Generator) -> float:
    """Share of samples whose points are all vertices."""
    whole = [all_vertices(ball(count, dimension, generator=generator)) for _ in range(samples)]
    return sum(whole) / samples
