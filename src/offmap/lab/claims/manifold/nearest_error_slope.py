"""A lookup's error falls as n^(-1/d): d is the dimension of the data, not of the space."""

from math import sqrt

import torch

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.manifold.neighbor_law import mean_distance
from offmap.lab.claims.manifold.torus_regression import TorusRegression, slope
from offmap.numerics.neighbors import search


@claim(
    says="The error of the nearest neighbor on a smooth target falls as n^(-1/d), with d the "
    "dimension on which the data lie, in 50 dimensions and in 200 alike.",
    effect="largest |d x slope + 1| of log RMSE over log n, over dimensions and spaces",
    below=0.15,
    scales={
        "smoke": {
            "dimensions": (1, 2), "ambients": (50, 200), "sizes": (64, 256, 1024), "queries": 1000,
        },
        "desk": {
            "dimensions": (1, 2, 4, 8), "ambients": (50, 200),
            "sizes": (1024, 2048, 4096, 8192, 16384), "queries": 4000,
        },
        "full": {
            "dimensions": (1, 2, 4, 8), "ambients": (50, 200),
            "sizes": (1024, 4096, 16384, 65536), "queries": 8000,
        },
    },
    seconds={"smoke": 0.1, "desk": 9.0, "full": 60.0},
    paper=Paper("Cover & Hart 1967", "https://doi.org/10.1109/TIT.1967.1053964"),
)  # fmt: skip
def nearest_error_slope(
    *,
    dimensions: tuple[int, ...],
    ambients: tuple[int, ...],
    sizes: tuple[int, ...],
    queries: int,
    generator: torch.Generator,
) -> Trial:
    """Sums of sines of the angles of a flat torus, without noise; RMSE of 1-NN on fresh points.

    Parts compare the RMSE with what the law of distances predicts of a target that is a plane
    between neighbors: sqrt(E r^2 / (2 d)), with r the distance to the nearest.
    """
    off, errors, parts, series = [], [0.0], {}, {}
    for d in dimensions:
        for ambient in ambients:
            world = TorusRegression(d, ambient, generator=generator)
            test = world.draw(queries, generator=generator)
            errors = []
            for n in sizes:
                train = world.draw(n, generator=generator)
                near = search(test.points, train.points, k=1).index[:, 0]
                error = (train.targets[near] - test.targets).square().mean().sqrt().item()
                errors.append(error)
            found = d * slope(sizes, errors)
            off.append(abs(found + 1))
            parts[f"d x slope, d = {d} in {ambient}"] = found
            series[f"d = {d} in {ambient}"] = torch.tensor(errors).double()
        square = mean_distance(sizes[-1], d, volume=(2 * torch.pi) ** d, power=2)
        parts[f"RMSE over its law, d = {d}"] = errors[-1] / sqrt(square / (2 * d))
    figure = Curve(
        "Error of the nearest neighbor", "n", "RMSE", torch.tensor(sizes).double(), series,
        log_x=True, log_y=True,
    )  # fmt: skip
    return Trial(max(off), parts, (figure,))
