"""Images lie on fewer dimensions than their covariance alone would give them."""

from collections.abc import Mapping
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor

from offmap.estimate import Estimate
from offmap.figures import Bars
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.manifold.dimensions_read import dimensions, looked_up
from offmap.lab.data import Images, digits
from offmap.numerics.dimension import Dimension

SHOWN = "maximum likelihood, 20 neighbors"


@claim(
    says="Images lie on fewer dimensions than a Gaussian cloud of as many points with the same "
    "covariance, by every estimator: the data are curved or clustered, not an ellipsoid.",
    effect="dimension of the images over that of the cloud, the largest over estimators and sets",
    below=1.0,
    scales={
        "smoke": {"n": 1200, "queries": 600},
        "desk": {"n": 4000, "queries": 1000},
        "full": {"n": 50000, "queries": 4000},
    },
    seconds={"smoke": 0.1, "desk": 3.0, "full": 300.0},
    paper=Paper("Pope et al. 2021", "https://arxiv.org/abs/2104.08894"),
    data={"desk": ("mnist", "cifar10"), "full": ("mnist", "cifar10")},
)
def images_below_gaussian_cloud(
    *, n: int, queries: int, data: Mapping[str, Images] | None = None, generator: torch.Generator
) -> Trial:
    """TwoNN, Gride and maximum likelihood on a random part of each set, and on its cloud.

    The cloud lies on as many dimensions as the covariance has directions; it reads less, as all
    estimators do above ten dimensions, but is as large as the images are, and as uneven.
    """
    parts, bars, ratios = {}, {}, []
    for name, images in ({"digits": digits()} | dict(data or {})).items():
        rows = torch.randperm(len(images.inputs), generator=generator)[:n]
        points = images.inputs[rows].flatten(1)
        own = dimensions(looked_up(points, queries=queries))
        cloud = dimensions(looked_up(gaussian_cloud(points, generator), queries=queries))
        for estimator, found in own.items():
            parts[f"{name}: {estimator}"] = found.value
            parts[f"{name}, cloud: {estimator}"] = cloud[estimator].value
            ratios.append(found.value / cloud[estimator].value)
        parts[f"{name}: numbers of an image"] = prod(images.inputs.shape[1:])
        bars |= {name: _estimate(own[SHOWN]), f"{name}, cloud": _estimate(cloud[SHOWN])}
    return Trial(max(ratios), parts, (Bars(f"Dimension, {SHOWN}", "dimensions", bars),))


def gaussian_cloud(
    points: Float[Tensor, "n d"], generator: torch.Generator
) -> Float[Tensor, "n d"]:
    """As many points of the Gaussian with their mean and covariance.

    Sums of the centered points with independent normal weights have that covariance exactly: no
    matrix of d x d is needed, and no root of it.
    """
    n = len(points)
    mean = points.mean(dim=0)
    weights = torch.randn(n, n, generator=generator, dtype=points.dtype)
    return mean + weights @ (points - mean) / n**0.5


def _estimate(found: Dimension) -> Estimate:
    low, high = found.interval()
    return Estimate(found.value, low, high, "jackknife", found.n)
