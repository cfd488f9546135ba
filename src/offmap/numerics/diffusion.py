r"""Diffusion maps: coordinates in which points are near when many short steps lead between them.

A walk steps from landmark to landmark with weights exp(-|x - y|^2 / bandwidth), corrected for the
density (the exponent alpha = 1 of Coifman and Lafon 2006,
https://doi.org/10.1016/j.acha.2006.04.006), so that its slow modes belong to the shape of the
data and not to where the sample is dense: with many landmarks and a small bandwidth they are the
eigenfunctions of the Laplacian of the manifold, with eigenvalues -4 log(value) / bandwidth. Any
other point is placed at the mean of the landmarks' modes, weighed by where the walk would go from
it (Nystrom's extension), which puts a landmark exactly where it was.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float64, Shaped
from scipy.linalg import eigh
from torch import Tensor

from offmap.numerics.distances import squared_distances

__all__ = ["DiffusionMap", "diffusion_map", "nearest_bandwidth"]

BLOCK_BYTES = 32 * 2**20  # of weights held at once


@dataclass(frozen=True, slots=True, eq=False)
class DiffusionMap:
    """The slowest modes of the walk, the constant one apart, slowest first.

    Args:
        landmarks: [m d].
        bandwidth: In the square of the unit of the data.
        values: [k], eigenvalues of one step, between 0 and 1.
        modes: [m k], the modes at the landmarks: uncorrelated, of mean 0 and variance 1 under the
            walk's own distribution. Of each the largest value is positive.
        log_degrees: [m], log of the sum of the weights of each landmark, its own 1 included.
    """

    landmarks: Shaped[Tensor, "m d"]
    bandwidth: float
    values: Float64[Tensor, " k"]
    modes: Float64[Tensor, "m k"]
    log_degrees: Float64[Tensor, " m"]

    @property
    def coordinates(self) -> Float64[Tensor, "m k"]:
        """Of the landmarks: their distances are those of where a step leads (diffusion time 1)."""
        return self.modes * self.values

    def place(self, queries: Shaped[Tensor, "q d"]) -> tuple[Tensor, Tensor]:
        """Coordinates [q k] of any points, and the log of the sum of their weights [q].

        A point far from all landmarks is put beside the nearest; its weights tell that it is far.
        """
        places, masses = [], []
        size = max(1, BLOCK_BYTES // (8 * len(self.landmarks)))
        for block in queries.split(size):
            weights = squared_distances(block.cpu(), self.landmarks) / -self.bandwidth  # logs
            masses.append(weights.logsumexp(dim=1))
            places.append((weights - self.log_degrees).softmax(dim=1) @ self.modes)
        if not places:
            return self.modes[:0], self.log_degrees[:0]
        return torch.cat(places), torch.cat(masses)


def diffusion_map(
    landmarks: Shaped[Tensor, "m d"], k: int, *, bandwidth: float | None = None
) -> DiffusionMap:
    """The first k coordinates of the landmarks; one matrix [m m] of float64 is held, and a copy.

    Args:
        landmarks: Points that stand for the data; a few thousand at most.
        k: How many coordinates, fewer than landmarks.
        bandwidth: Squared length of a step; `nearest_bandwidth` if None.

    Raises:
        ValueError: If k or the bandwidth is out of range, all landmarks are equal, or some are not
            finite.
    """
    m = len(landmarks)
    if not 1 <= k < m:
        raise ValueError(f"expected 1 <= k < {m} landmarks, got k = {k}")
    points = landmarks.detach().cpu()
    if not bool(points.isfinite().all()):
        raise ValueError("expected finite landmarks, got some that are not")
    squares = squared_distances(points, points).fill_diagonal_(0)
    width = nearest_bandwidth(squares) if bandwidth is None else bandwidth
    if not 0 < width < math.inf:
        raise ValueError(f"expected a finite bandwidth > 0, got {width}: are all landmarks equal?")

    weights = squares.div_(-width).exp_()
    degrees = weights.sum(dim=1)
    weights /= degrees * degrees[:, None]  # alpha = 1: the density is divided out
    stationary = weights.sum(dim=1)
    root = stationary.sqrt()
    weights /= root * root[:, None]  # symmetric, with the same eigenvalues as the walk
    weights.addr_(root, root, alpha=-1 / stationary.sum().item())  # the constant mode taken out
    found, vectors = eigh(weights.numpy(), subset_by_index=[m - k, m - 1], overwrite_a=True)
    values = torch.from_numpy(found).flip(0).clamp(0, 1)
    modes = torch.from_numpy(vectors).flip(1) / root[:, None] * stationary.sum().sqrt()
    largest = modes.gather(0, modes.abs().argmax(dim=0, keepdim=True))
    return DiffusionMap(points, width, values, modes * largest.sign(), degrees.log())


def nearest_bandwidth(squares: Float64[Tensor, "m m"]) -> float:
    """The smallest bandwidth at which no point stands alone, from squared distances.

    It is the largest of the squared distances to a nearest other point (Keller, Coifman, Lafon and
    Zucker 2010). The median of all distances, another habit, short-circuits what is curved.
    """
    alone = torch.diag(torch.full((len(squares),), torch.inf, dtype=torch.double))
    return (squares + alone).amin(dim=1).max().item()
