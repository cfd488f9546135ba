"""The law of nearest neighbors, applied where it does not hold: a cube has mostly boundary."""

from math import sqrt

import torch

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.manifold.neighbor_law import mean_distance
from offmap.numerics.neighbors import search


@claim(
    says="Of points spread evenly in the unit cube, the nearest lies as far as the law of even "
    "density says, Gamma(1 + 1/d) (n V_d)^(-1/d), within 5 % in ten dimensions too.",
    effect="mean distance to the nearest in the cube over the law, minus 1, in the most dimensions",
    below=0.05,
    scales={
        "smoke": {"dimensions": (1, 4, 10), "n": 1000, "queries": 500},
        "desk": {"dimensions": (1, 2, 3, 5, 7, 10), "n": 4000, "queries": 4000},
        "full": {"dimensions": (1, 2, 3, 5, 7, 10), "n": 60000, "queries": 4000},
    },
    seconds={"smoke": 0.05, "desk": 0.5, "full": 10.0},
    paper=Paper(
        "Percus & Martin 1998", "https://portal.mardi4nfdi.de/w/index.php?title=Item%3AQ1271871"
    ),
    corrected="neighbor_distance_law",
)
def cube_distance_law(
    *, dimensions: tuple[int, ...], n: int, queries: int, generator: torch.Generator
) -> Trial:
    """Fresh queries among n uniform points of the cube [0, 1]^d, faces not glued.

    In ten dimensions a ball that holds one of 4,000 points has a radius of 0.38: it sticks out of
    the cube nearly everywhere, so that the nearest point is farther than the law says.
    """
    ratios, errors = [], []
    for d in dimensions:
        bank = torch.rand(n, d, generator=generator, dtype=torch.double)
        fresh = torch.rand(queries, d, generator=generator, dtype=torch.double)
        near = search(fresh, bank, k=1).distance[:, 0]
        law = mean_distance(n, d)
        ratios.append(near.mean().item() / law)
        errors.append(near.std().item() / sqrt(queries) / law)
    parts = {f"mean over law, d = {d}": r for d, r in zip(dimensions, ratios, strict=True)}
    parts["standard error, most dimensions"] = errors[-1]
    x, y = torch.tensor(dimensions).double(), torch.tensor(ratios).double()
    figure = Curve(
        "Nearest neighbor in a cube", "dimensions", "mean distance over the law", x,
        {"cube": y, "law": torch.ones_like(y)},
    )  # fmt: skip
    return Trial(ratios[-1] - 1, parts, (figure,))
