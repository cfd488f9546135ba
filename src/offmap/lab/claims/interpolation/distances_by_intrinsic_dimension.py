"""Distances between pictures are as alike as in ten dimensions, not as in hundreds."""

from collections.abc import Mapping

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from offmap.figures import Histogram
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.interpolation.pictures import sets
from offmap.lab.data import Images
from offmap.numerics.concentration import equivalent_dimension, gaussian_nearness

SIZES = {"digits": (1400, 397), "mnist": (20_000, 1000)}
BINS = 30


@claim(
    says="Nearest neighbors among pictures are as near as in noise of at most 20 dimensions, about "
    "as many as the pictures vary in, not of 64 or 784, as many as they have pixels.",
    effect="Dimensions of Gaussian noise in which the nearest of as many points is as near, "
    "relative to the typical distance; the largest over the sets of pictures",
    below=20.0,
    scales={"smoke": {"examples": 200}, "desk": {"examples": 1000}, "full": {"examples": 1000}},
    seconds={"smoke": 0.1, "desk": 1.7, "full": 1.7},
    paper=Paper("Beyer et al. 1999", "https://doi.org/10.1007/3-540-49257-7_15"),
    data={"desk": ("mnist",), "full": ("mnist",)},
)
def distances_by_intrinsic_dimension(
    *, examples: int, data: Mapping[str, Images], generator: torch.Generator
) -> Trial:
    """The median over test pictures of the distance to the nearest training picture.

    Divided by the root of the mean square distance to all, and compared with the exact law for
    Gaussian noise. The control is noise of as many pixels, which reads as what it is.
    """
    found, parts, figures = [], {}, []
    for name, pictures in sets(data, SIZES, generator=generator).items():
        n, pixels = pictures.train.shape
        rows = nearness(pictures.test[:examples], pictures.train)
        median = rows.median().item()
        found.append(equivalent_dimension(median, n))
        noise = torch.randn(n, pixels, generator=generator)
        fresh = torch.randn(100, pixels, generator=generator)
        control = nearness(fresh, noise).median().item()
        parts |= {
            f"{name}: nearest over typical distance": median,
            f"{name}: in Gaussian noise of {pixels} dimensions": gaussian_nearness(pixels, n),
            f"{name}: dimensions of noise that reads the same": found[-1],
            f"{name}: control, noise of {pixels} dimensions reads": equivalent_dimension(
                control, n
            ),
        }
        edges = torch.linspace(0, 1, BINS + 1, dtype=torch.double)
        counts, _ = torch.histogram(rows, edges)
        figures.append(
            Histogram(
                f"How near the nearest of the {name} is", "nearest over typical distance", edges,
                {name: counts},
            )
        )  # fmt: skip
    return Trial(max(found), parts, tuple(figures))


def nearness(queries: Float[Tensor, "m d"], points: Float[Tensor, "n d"]) -> Float64[Tensor, " m"]:
    """The nearest distance over the root of the mean square distance, for each query."""
    center = points.double().mean(dim=0)
    x, y = queries.double() - center, points.double() - center
    square = x.square().sum(dim=1)
    heights = y.square().sum(dim=1)
    nearest = torch.cat([
        (heights - 2 * part @ y.T).amin(dim=1) for part in x.split(256)
    ])  # fmt: skip
    typical = square + heights.mean()
    return ((square + nearest).clamp_min(0) / typical).sqrt()
