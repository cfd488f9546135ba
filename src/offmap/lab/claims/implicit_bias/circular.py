"""Linear networks of circular convolutions as wide as the input, in the frequency domain.

There a product of layers is a product of numbers, frequency by frequency. A real signal has the
frequencies 0 to d/2, of which all but the first and (d even) the last count twice.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float

from offmap.lab.claims.implicit_bias.max_margin import hard_margin, softmax

START = 0.1  # standard deviation of the initial filters


class Trained(NamedTuple):
    """Networks after training, one for each problem, and the gradient of their margins."""

    product: Complex[np.ndarray, "k f"]  # transform of the linear function
    ascent: Complex[np.ndarray, "k f"]  # of the examples, each with its share in the loss


def counts(d: int) -> Float[np.ndarray, " f"]:
    """How many of the d frequencies each of the kept ones stands for."""
    twice = np.full(d // 2 + 1, 2.0)
    twice[0] = 1
    if d % 2 == 0:
        twice[-1] = 1
    return twice


def train(
    z: Float[np.ndarray, "k n d"], depth: int, steps: int, rng: np.random.Generator
) -> Trained:
    """Descent of the logarithm of the exponential loss, for k problems at once.

    A step is 1.5 over the largest squared gradient of a margin, which bounds the curvature (from 2
    on the loss could grow), and at most a twentieth of the weights.

    Args:
        z: Examples times their class, of k problems.
        depth: Layers, each a filter as wide as the input.
        steps: Updates.
        rng: Source of the initial filters.
    """
    k, _, d = z.shape
    twice = counts(d)
    transform = np.fft.rfft(z)
    read, power = np.conj(transform) * twice / d, np.abs(transform) ** 2 * twice / d
    columns = np.ascontiguousarray(transform.transpose(0, 2, 1))
    filters = np.fft.rfft(START * rng.standard_normal((depth, k, d)))
    for _ in range(steps):
        ascent = _ascent(filters.prod(axis=0), read, columns)
        others = np.stack([np.delete(filters, layer, 0).prod(axis=0) for layer in range(depth)])
        slopes = (power @ (np.abs(others) ** 2).sum(axis=0)[:, :, None])[:, :, 0]
        moves = np.conj(others) * ascent
        sizes = (((np.abs(each) ** 2).sum(axis=0) @ twice / d) ** 0.5 for each in (filters, moves))
        size, length = sizes
        rate = np.minimum(1.5 / slopes.max(axis=1), 0.05 * size / length)
        filters = filters + rate[:, None] * moves
    product = filters.prod(axis=0)
    return Trained(product, _ascent(product, read, columns))


def _ascent(product: np.ndarray, read: np.ndarray, columns: np.ndarray) -> np.ndarray:
    shares = softmax(np.real(read @ product[:, :, None])[:, :, 0])
    return (columns @ shares[:, :, None])[:, :, 0]


def l1_per_margin(
    product: Complex[np.ndarray, "k f"], z: Float[np.ndarray, "k n d"]
) -> Float[np.ndarray, " k"]:
    """The l1 norm of the unitary discrete Fourier transform over the margin.

    Raises:
        ValueError: If an example is not yet right, so that there is no margin to divide by.
    """
    d = z.shape[2]
    margin = np.einsum("knd,kd->kn", z, np.fft.irfft(product, d)).min(axis=1)
    if margin.min() <= 0:
        raise ValueError("expected all examples to be right, got some that are not: more steps")
    return np.abs(product) @ counts(d) / d**0.5 / margin


def least_l1(z: Float[np.ndarray, "n d"]) -> tuple[float, float]:
    """The smallest l1 norm of a unitary transform with all margins at least one: two bounds.

    From above by a feasible point: |c| is the least of (|c|^2 / s + s) / 2 over s, so that
    hard-margin problems with rescaled frequencies, and s set to |c| in turn, go down to it. From
    below by the multipliers of the last one, scaled into the dual problem.
    """
    d = z.shape[1]
    transform = np.fft.rfft(z, norm="ortho")
    fit, multipliers = _reweighted(transform, np.ones(d // 2 + 1), d)
    for step in range(250):
        fit, multipliers = _reweighted(transform, np.hypot(np.abs(fit), 1e-2 * 0.9**step), d)
    above = np.abs(fit) @ counts(d) / (z @ np.fft.irfft(fit, d, norm="ortho")).min()
    below = multipliers.sum() / np.abs(np.fft.rfft(z.T @ multipliers, norm="ortho", axis=0)).max()
    return float(above), float(below)


def _reweighted(transform: np.ndarray, scale: np.ndarray, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Of all fits with margin one, the least sum of |c|^2 / scale; and its multipliers."""
    w, multipliers = hard_margin(np.fft.irfft(transform * scale**0.5, d, norm="ortho"))
    return np.fft.rfft(w, norm="ortho") * scale**0.5, multipliers
