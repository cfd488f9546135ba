"""The hard-margin solution, and examples to try it on.

Rows z of the examples are y x, so that z w is the margin of w. The logarithm of the exponential
loss has the gradient -sum_i p_i z_i with p the softmax of the negative margins, which does not
vanish as the loss does: descent along it reaches in thousands of steps what plain descent would
need exponentially many for.
"""

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import nnls

Rows = Float[np.ndarray, "n d"]


def hard_margin(z: Rows) -> tuple[Float[np.ndarray, " d"], Float[np.ndarray, " n"]]:
    """The shortest w with all margins at least one, and its multipliers: w = z' multipliers.

    Lawson and Hanson's least distance programming: nonnegative least squares with z' over a row
    of ones against (0, ..., 0, 1), solved exactly by their active set method.

    Raises:
        ValueError: If no w has positive margins.
    """
    stacked = np.vstack([z.T, np.ones(len(z))])
    last = np.zeros(len(stacked))
    last[-1] = 1
    weights, distance = nnls(stacked, last)
    if distance < 1e-9:
        raise ValueError("expected separable examples, got some that no direction separates")
    left = last - stacked @ weights
    return -left[:-1] / left[-1], weights / left[-1]


def softmax(margins: np.ndarray) -> np.ndarray:
    """Share of each example in the exponential loss, along the last axis."""
    shares = np.exp(margins.min(axis=-1, keepdims=True) - margins)
    return shares / shares.sum(axis=-1, keepdims=True)


def two_classes(n: int, d: int, generator: torch.Generator) -> Rows:
    """Two normal clouds, six standard deviations apart, of what is separable through the origin.

    An example is left out where the direction between the centers has no margin of 0.1 on it: one
    in four hundred.
    """
    rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
    rows = np.empty((0, d))
    while len(rows) < n:
        drawn = 3 / d**0.5 + rng.standard_normal((n, d))  # y x: both clouds fold into one
        rows = np.concatenate([rows, drawn[drawn.sum(axis=1) > 0.1 * d**0.5]])
    return rows[:n]


def degrees(a: Float[np.ndarray, " d"], b: Float[np.ndarray, " d"]) -> float:
    """Angle between two directions; small angles without cancellation."""
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    return float(np.degrees(2 * np.arctan2(np.linalg.norm(a - b), np.linalg.norm(a + b))))
