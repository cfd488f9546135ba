"""However errors are spread on a sphere, a random point is near to one."""

from math import sqrt

import torch
from jaxtyping import Float
from torch import Tensor

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.off_map.sphere_caps import (
    cap_cosine,
    cap_measure,
    gilmer_bound,
    mean_distance_to_cap,
)
from offmap.lab.worlds import sphere

CAP, OPPOSITE, AXES, BAND = "one cap", "two opposite caps", "caps on all axes", "band"


@claim(
    says="From no set of measure mu on the sphere in n dimensions is a random point farther, on "
    "average, than from a cap of that measure, which is about -Phi^-1(mu) / sqrt(n).",
    effect="largest excess of a mean distance over that of the cap, in standard errors",
    below=4.0,
    scales={
        "smoke": {"dimensions": (10, 50), "measure": 0.01, "points": 4000},
        "desk": {"dimensions": (10, 50, 200, 500), "measure": 0.01, "points": 40000},
        "full": {"dimensions": (10, 50, 200, 500, 3072), "measure": 0.01, "points": 200000},
    },
    seconds={"smoke": 0.02, "desk": 1.0, "full": 20.0},
    paper=Paper("Gilmer et al. 2018", "https://arxiv.org/abs/1801.02774"),
)
def error_set_distance(
    *, dimensions: tuple[int, ...], measure: float, points: int, generator: torch.Generator
) -> Trial:
    """Sets whose measure and distance have a closed form: caps, bands, and unions of caps.

    Of the cap itself the distance must be the law's, of the others less. The caps on all axes
    are those that touch, of coordinates above 1 / sqrt(2): few points are in them in many
    dimensions, and yet their measure decides how far they may be.
    """
    excess, parts, series = [], {}, {name: [] for name in (CAP, OPPOSITE, AXES, BAND)}
    for n in dimensions:
        fresh = sphere(points, n, generator=generator)
        for name, (mu, distance) in _sets(fresh, measure, n).items():
            law = mean_distance_to_cap(mu, n)
            mean = distance.mean().item()
            excess.append((mean - law) * sqrt(points) / distance.std().item())
            series[name].append(mean / law)
            parts[f"{name}, n = {n}: distance"] = mean
            parts[f"{name}, n = {n}: over the cap's"] = mean / law
        parts[f"cap's law over -Phi^-1(mu) / sqrt(n), n = {n}"] = mean_distance_to_cap(
            measure, n
        ) / gilmer_bound(measure, n)
    figure = Curve(
        "Distance to a set over that to a cap of its measure", "dimensions", "ratio",
        torch.tensor(dimensions).double(),
        {name: torch.tensor(values).double() for name, values in series.items()}, log_x=True,
    )  # fmt: skip
    return Trial(max(excess), parts, (figure,))


def _sets(
    x: Float[Tensor, "m n"], measure: float, n: int
) -> dict[str, tuple[float, Float[Tensor, " m"]]]:
    """The measure of each set, and the distance of each point to it."""
    first, half = x[:, 0], 0.5**0.5
    narrow = cap_cosine(0.5 * (1 - measure), n)  # between two such caps a share `measure` is left
    return {
        CAP: (measure, _chord(first, cap_cosine(measure, n))),
        OPPOSITE: (measure, _chord(first.abs(), cap_cosine(measure / 2, n))),
        AXES: (2 * n * cap_measure(half, n), _chord(x.abs().amax(dim=1), half)),
        BAND: (measure, _chord((1 - first.square()).clamp_min(0).sqrt(), (1 - narrow**2) ** 0.5)),
    }


def _chord(cosine: Float[Tensor, " m"], edge: float) -> Float[Tensor, " m"]:
    """Straight distance to where the cosine is `edge` or more; 0 there."""
    angle = cosine.clamp(-1, 1).arccos() - torch.tensor(edge, dtype=torch.double).arccos()
    return 2 * (angle.clamp_min(0) / 2).sin()
