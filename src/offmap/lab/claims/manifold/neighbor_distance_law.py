"""How far the nearest of n even points are: an exact law of dimension and number."""

from math import log, sqrt

import torch
from jaxtyping import Float
from torch import Tensor

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.manifold.neighbor_law import ball_volume, mean_distance
from offmap.numerics.neighbors import search

RANKS = (1, 5)  # which neighbors are compared with the law


@claim(
    says="The distance to the k-th nearest of n evenly spread points is, on average, "
    "Gamma(k + 1/d) / Gamma(k) (n V_d)^(-1/d) where there is no boundary.",
    effect="largest distance between a mean and the law, in standard errors over independent banks",
    below=4.0,
    scales={
        "smoke": {"dimensions": (1, 3), "sizes": (100, 400), "banks": 16, "queries": 60},
        "desk": {
            "dimensions": (1, 2, 3, 5), "sizes": (250, 1000, 4000), "banks": 30, "queries": 200,
        },
        "full": {
            "dimensions": (1, 2, 3, 5), "sizes": (250, 1000, 4000), "banks": 100, "queries": 500,
        },
    },
    seconds={"smoke": 0.2, "desk": 4.0, "full": 30.0},
    paper=Paper(
        "Percus & Martin 1998", "https://portal.mardi4nfdi.de/w/index.php?title=Item%3AQ1271871"
    ),
    published="(d/2)!^(1/d) / sqrt(pi) x (k - 1 + 1/d)! / (k - 1)! x N! / (N + 1/d)! on closed "
    "flat manifolds of volume 1, as its review states it: the same law.",
)  # fmt: skip
def neighbor_distance_law(
    *,
    dimensions: tuple[int, ...],
    sizes: tuple[int, ...],
    banks: int,
    queries: int,
    generator: torch.Generator,
) -> Trial:
    """Banks of uniform points on the flat torus [0, 1]^d and fresh queries, by offmap's search.

    Opposite faces are glued by adding the images of the bank across each face. The mean over the
    queries of one bank is one observation, for they share the bank. Compared are the first and
    the fifth neighbor, at every size, with the law for that many points, not with its limit.
    """
    deviations, parts, series = {}, {}, {}
    for d in dimensions:
        means = torch.stack([_mean_distances(n, d, banks, queries, generator) for n in sizes])
        laws = torch.tensor([[mean_distance(n, d, k=k) for k in RANKS] for n in sizes]).double()
        error = means.std(dim=1) / sqrt(banks)
        measured = means.mean(dim=1)
        deviations[d] = ((measured - laws) / error).abs().max().item()
        slope = (measured[-1, 0] / measured[0, 0]).log().item() / log(sizes[-1] / sizes[0])
        parts[f"slope of log distance over log n, times d, d = {d}"] = slope * d
        parts[f"mean over law, d = {d}"] = (measured / laws)[-1, 0].item()
        series |= {f"d = {d}": measured[:, 0], f"law, d = {d}": laws[:, 0]}
    figure = Curve(
        "Distance to the nearest of n even points", "n", "mean distance",
        torch.tensor(sizes).double(), series, log_x=True, log_y=True,
    )  # fmt: skip
    return Trial(max(deviations.values()), parts, (figure,))


def _mean_distances(
    n: int, d: int, banks: int, queries: int, generator: torch.Generator
) -> Float[Tensor, "banks ranks"]:
    rows = []
    for _ in range(banks):
        bank = torch.rand(n, d, generator=generator, dtype=torch.double)
        fresh = torch.rand(queries, d, generator=generator, dtype=torch.double)
        near = nearest_on_torus(fresh, bank, max(RANKS))
        rows.append(near.mean(dim=0)[[k - 1 for k in RANKS]])
    return torch.stack(rows)


def nearest_on_torus(
    queries: Float[Tensor, "m d"], bank: Float[Tensor, "n d"], k: int
) -> Float[Tensor, "m k"]:
    """Distances to the k nearest on [0, 1]^d with opposite faces glued.

    Raises:
        ValueError: If a distance exceeds the margin from which images of the bank were taken.
    """
    n, d = bank.shape
    most = (k + 40) / (n * ball_volume(d))  # with k + 40 points expected, 1e-12 hold fewer than k
    margin = min(0.5, most ** (1 / d))  # beyond 0.5 a ball would meet itself
    images = bank
    for axis in range(d):  # after this axis, all images across its two faces are there
        value = images[:, axis]
        step = torch.eye(d, dtype=torch.double)[axis]
        images = torch.cat(
            [images, images[value < margin] + step, images[value > 1 - margin] - step]
        )
    found = search(queries, images, k=k).distance
    if bool((found > margin).any()):
        raise ValueError(f"expected neighbors within {margin}, got {found.max().item()}")
    return found
