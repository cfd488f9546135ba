"""Linear measurements of a positive semidefinite matrix: descent on a factor, and least trace.

Measurements are sums over the entries of a symmetric matrix each, and of the wanted one.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

Measurements = Float[np.ndarray, "m n n"]


class Descent(NamedTuple):
    """Where descent ended: the matrix, and the largest residual left."""

    matrix: Float[np.ndarray, "n n"]
    residual: float


def descend(
    a: Measurements, y: Float[np.ndarray, " m"], start: Float[np.ndarray, "n k"],
    *, rate: float = 0.1, most: int = 100_000,
) -> Descent:  # fmt: skip
    """Gradient descent on the mean squared residual of U U', until it is fitted to 1e-7.

    Args:
        a: Symmetric matrices.
        y: What they measure.
        start: The initial factor U.
        rate: Of the descent.
        most: Steps after which it ends anyway.
    """
    rows = a.reshape(len(a), -1)
    u, residual = start, np.inf
    for _ in range(most):
        left = rows @ (u @ u.T).ravel() - y
        residual = np.abs(left).max()
        if residual < 1e-7 * np.abs(y).max():
            break
        u = u - 4 * rate / len(y) * (left @ rows).reshape(len(u), -1) @ u
    return Descent(u @ u.T, float(residual))


def least_trace(
    a: Measurements, y: Float[np.ndarray, " m"]
) -> tuple[Float[np.ndarray, "n n"], float, float]:
    """The positive semidefinite matrix of least trace with these measurements.

    Alternating directions: onto the measurements and onto the cone in turn. The multipliers,
    scaled into the dual program, bound the trace from below.

    Returns:
        The matrix, its trace, and the bound.
    """
    n = a.shape[1]
    rows = a.reshape(len(a), -1)
    inverse = np.linalg.pinv(rows @ rows.T)
    unit = fit = np.eye(n)
    cone, sum_of_gaps = np.zeros((n, n)), np.zeros((n, n))
    for _ in range(20_000):
        wish = cone - sum_of_gaps - unit
        fit = wish + ((y - rows @ wish.ravel()) @ inverse @ rows).reshape(n, n)
        values, vectors = np.linalg.eigh(fit + sum_of_gaps)
        cone = (vectors * values.clip(0)) @ vectors.T
        sum_of_gaps = sum_of_gaps + fit - cone
        if np.abs(fit - cone).max() < 1e-11:
            break
    nu = inverse @ (rows @ (unit + sum_of_gaps).ravel())
    largest = np.linalg.eigvalsh((nu @ rows).reshape(n, n))[-1]
    return fit, float(np.trace(fit)), float(y @ nu / max(1, largest))


def gaussian_problem(
    n: int, rank: int, m: int, rng: np.random.Generator
) -> tuple[Measurements, Float[np.ndarray, " m"]]:
    """Normal measurements of a random matrix of a rank, of trace one."""
    a = rng.standard_normal((m, n, n))
    a = (a + a.transpose(0, 2, 1)) / 2
    factor = rng.standard_normal((n, rank))
    return a, np.einsum("kij,ij->k", a, factor @ factor.T) / (factor**2).sum()


def completion_problem(
    rng: np.random.Generator,
) -> tuple[Measurements, Float[np.ndarray, " 3"]]:
    """Three entries of a 3 x 3 matrix: (1, 2) and (1, 3) about one, (2, 3) about a fifth.

    With p, q, r for these, the one completion of rank one has the diagonal pq/r, pr/q, qr/p: a
    small r makes it large.
    """
    a = np.zeros((3, 3, 3))
    for k, (i, j) in enumerate(((0, 1), (0, 2), (1, 2))):
        a[k, i, j] = a[k, j, i] = 0.5
    return a, rng.uniform((0.8, 0.8, 0.15), (1.2, 1.2, 0.3))


def random_start(n: int, norm: float, rng: np.random.Generator) -> Float[np.ndarray, "n n"]:
    """A square factor of a Frobenius norm."""
    factor = rng.standard_normal((n, n))
    return norm * factor / np.linalg.norm(factor)
