"""A picture of a dot that moves along a line is one number, however many pixels it has."""

import torch

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.manifold.dimensions_read import dimensions, looked_up
from offmap.lab.worlds import blobs
from offmap.numerics.dimension import gride


@claim(
    says="Pictures of a soft dot that moves along a line lie on one dimension at every "
    "resolution: the dimension of data does not depend on the pixels that encode them.",
    effect="largest |log of the dimension|, in its standard errors, over resolutions, estimators",
    below=4.0,
    scales={
        "smoke": {"sides": (16, 32), "n": 500},
        "desk": {"sides": (32, 64, 128), "n": 2000},
        "full": {"sides": (64, 128, 256), "n": 4000},
    },
    seconds={"smoke": 0.1, "desk": 7.0, "full": 100.0},
    paper=Paper("Facco et al. 2017", "https://doi.org/10.1038/s41598-017-11873-y"),
)
def moving_dot_dimension(*, sides: tuple[int, ...], n: int, generator: torch.Generator) -> Trial:
    """The same n positions, drawn evenly, at each resolution; the dot is 6 % of the side wide.

    TwoNN, Gride and maximum likelihood from one search. What one number can do to a picture by a
    smooth map is one dimension, so the truth is 1.
    """
    positions = torch.rand(n, generator=generator, dtype=torch.double)
    deviations, parts, series = [], {}, {}
    for side in sides:
        near = looked_up(blobs(positions, side).flatten(1), queries=n)
        for name, found in dimensions(near).items():
            deviations.append(abs(torch.tensor(found.value).log().item()) / found.log_error)
            parts[f"{side} x {side} pixels: {name}"] = found.value
        curve = [gride(near, nearest=m).value for m in (1, 2, 4, 8)]
        series[f"{side} x {side} pixels"] = torch.tensor(curve).double()
    figure = Curve(
        "Dimension over scale", "neighbors that the estimate spans", "dimension",
        torch.tensor([2, 4, 8, 16]).double(), series, log_x=True,
    )  # fmt: skip
    return Trial(max(deviations), parts, (figure,))
