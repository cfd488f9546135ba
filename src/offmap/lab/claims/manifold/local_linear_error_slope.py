"""A local linear fit uses smoothness: its error falls as n^(-2/d), twice the lookup's rate."""

from math import pi

import torch
from jaxtyping import Float
from torch import Tensor

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.manifold.torus_regression import Regression, TorusRegression, slope
from offmap.numerics.neighbors import search


@claim(
    says="The root mean square error of a local linear fit on a smooth target falls as n^(-2/d) "
    "(its square as n^(-4/d)): twice as fast, on logarithmic axes, as that of a lookup.",
    effect="largest |d x slope / 2 + 1| of log RMSE over log n, over dimensions",
    below=0.15,
    scales={
        "smoke": {"dimensions": (1, 2), "sizes": (128, 512, 2048), "queries": 1000},
        "desk": {
            "dimensions": (1, 2, 4), "sizes": (2048, 4096, 8192, 16384, 32768), "queries": 4000,
        },
        "full": {"dimensions": (1, 2, 4), "sizes": (4096, 16384, 65536, 262144), "queries": 8000},
    },
    seconds={"smoke": 0.1, "desk": 4.0, "full": 60.0},
    paper=Paper("Sharma & Kaplan 2020", "https://arxiv.org/abs/2004.10802"),
)  # fmt: skip
def local_linear_error_slope(
    *,
    dimensions: tuple[int, ...],
    sizes: tuple[int, ...],
    queries: int,
    generator: torch.Generator,
) -> Trial:
    """Sums of sines of the angles of a flat torus; a plane through 3 (d + 1) neighbors' targets.

    The plane is fitted by least squares over differences of angles, the coordinates on the torus.
    The control is the plain mean of the same neighbors' targets, whose bias is of second order as
    well, but whose spread is of first.
    """
    off, parts, series = [], {}, {}
    for d in dimensions:
        world = TorusRegression(d, 2 * d, generator=generator)
        test = world.draw(queries, generator=generator)
        planes, means = [], []
        for n in sizes:
            train = world.draw(n, generator=generator)
            near = search(test.points, train.points, k=3 * (d + 1)).index
            planes.append(_rmse(predict(train, near, test.angles), test.targets))
            means.append(_rmse(train.targets[near].mean(dim=1), test.targets))
        found = d * slope(sizes, planes)
        off.append(abs(found / 2 + 1))
        parts[f"d x slope, d = {d}"] = found
        parts[f"d x slope of the neighbors' mean, d = {d}"] = d * slope(sizes, means)
        series |= {f"plane, d = {d}": torch.tensor(planes).double()}
        series |= {f"mean, d = {d}": torch.tensor(means).double()}
    figure = Curve(
        "Error of a local fit", "n", "RMSE", torch.tensor(sizes).double(), series,
        log_x=True, log_y=True,
    )  # fmt: skip
    return Trial(max(off), parts, (figure,))


def predict(train: Regression, near: Tensor, angles: Float[Tensor, "m d"]) -> Float[Tensor, " m"]:
    """The value at the query of the plane of least squares through its neighbors."""
    steps = (train.angles[near] - angles[:, None] + pi).remainder(2 * pi) - pi  # [m k d]
    design = torch.cat([torch.ones_like(steps[:, :, :1]), steps], dim=2)
    return torch.linalg.lstsq(design, train.targets[near][:, :, None]).solution[:, 0, 0]


def _rmse(found: Float[Tensor, " m"], truth: Float[Tensor, " m"]) -> float:
    return (found - truth).square().mean().sqrt().item()
