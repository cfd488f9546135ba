"""Points that are all vertices of their hull, drawn in two dimensions: hardly any looks so."""

from collections.abc import Callable, Mapping
from itertools import product

import numpy as np
import torch
from jaxtyping import Float64
from numpy.typing import NDArray
from scipy.spatial import ConvexHull
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, Isomap, LocallyLinearEmbedding, SpectralEmbedding
from sklearn.random_projection import GaussianRandomProjection
from torch import Tensor

from offmap.figures import Scatter
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.interpolation.hulls import proved_vertices

JITTER = 1e-6  # methods that sort or divide distances need them to differ
NEIGHBORS = 12
METHODS: Mapping[str, Callable[[int], object]] = {
    "PCA": lambda seed: PCA(2, random_state=seed),
    "random projection": lambda seed: GaussianRandomProjection(
        n_components=2,  # pyright: ignore[reportArgumentType]
        random_state=seed,
    ),
    "spectral embedding": lambda seed: SpectralEmbedding(
        n_components=2, n_neighbors=NEIGHBORS, random_state=seed
    ),
    "Isomap": lambda _: Isomap(n_components=2, n_neighbors=NEIGHBORS),
    "locally linear embedding": lambda seed: LocallyLinearEmbedding(
        n_components=2, n_neighbors=NEIGHBORS, random_state=seed
    ),
    "t-SNE": lambda seed: TSNE(2, random_state=seed, init="random"),
}


@claim(
    says="A picture in two dimensions hides the hull: of the 256 corners of a cube in 8 dimensions "
    "all are vertices, and in any picture fewer than one in five is.",
    effect="Share of the points that are vertices of the hull in the picture; the largest over the "
    "methods that draw one",
    below=0.2,
    scales={
        "smoke": {"dimension": 8, "methods": tuple(METHODS)[:3]},
        "desk": {"dimension": 8, "methods": tuple(METHODS)},
        "full": {"dimension": 12, "methods": tuple(METHODS)},
    },
    seconds={"smoke": 0.05, "desk": 0.7, "full": 60.0},
    paper=Paper("Balestriero, Pesenti & LeCun 2021", "https://arxiv.org/abs/2110.09485"),
)
def picture_hull(*, dimension: int, methods: tuple[str, ...], generator: torch.Generator) -> Trial:
    """The corners of a cube, a millionth apart from exact, and scikit-learn's ways to draw them.

    That every corner is a vertex is proved by a direction for each. A set of N points in the plane
    has of the order of log N vertices if it fills a square, N^(1/3) a disc.
    """
    cube = torch.tensor(list(product((-1.0, 1.0), repeat=dimension)), dtype=torch.double)
    cube += JITTER * torch.randn(cube.shape, generator=generator, dtype=torch.double)
    drawn = {name: picture(name, cube, generator) for name in methods}
    extreme = {name: len(ConvexHull(flat).vertices) / len(cube) for name, flat in drawn.items()}
    corners = proved_vertices(cube).double().mean().item()
    last = methods[-1]
    flat = torch.from_numpy(drawn[last])
    shown = torch.randperm(len(flat), generator=generator)[:150]
    vertex = np.isin(np.arange(len(flat)), ConvexHull(drawn[last]).vertices)
    return Trial(
        max(extreme.values()),
        {f"vertices in the picture: {name}": share for name, share in extreme.items()}
        | {"vertices in the space": corners},
        (
            Scatter(
                f"Corners of a cube in {dimension} dimensions, as {last} shows them", "first axis",
                "second axis", flat[shown, 0], flat[shown, 1],
                tuple("vertex" if vertex[row] else "inside" for row in shown.tolist()),
            ),
        ),
    )  # fmt: skip


def picture(
    method: str, points: Float64[Tensor, "n d"], generator: torch.Generator
) -> NDArray[np.float64]:
    """The points in two dimensions."""
    seed = int(torch.randint(2**31, (), generator=generator))
    made: PCA = METHODS[method](seed)  # pyright: ignore[reportAssignmentType]
    return np.asarray(made.fit_transform(points.numpy()), dtype=np.float64)
