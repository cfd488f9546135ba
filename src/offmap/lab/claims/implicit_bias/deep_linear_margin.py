"""A deep linear network aligns its layers, and ends where a linear classifier does."""

from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.implicit_bias.max_margin import hard_margin, softmax, two_classes


@claim(
    says="A deep linear network trained on separable examples ends with layers of rank one that "
    "are aligned, and their product is the hard-margin direction.",
    effect="smallest of: margin over the largest possible, share of each layer's power in its "
    "first singular value, alignment of neighboring layers",
    above=0.999,
    scales={
        "smoke": {"n": 20, "d": 2, "width": 8, "steps": 5000},
        "desk": {"n": 100, "d": 10, "width": 32, "steps": 200_000},
        "full": {"n": 300, "d": 30, "width": 100, "steps": 500_000},
    },
    seconds={"smoke": 0.3, "desk": 8.0, "full": 200.0},
    paper=Paper("Ji and Telgarsky 2018", "https://arxiv.org/abs/1810.02032"),
)
def deep_linear_margin(
    *, n: int, d: int, width: int, steps: int, generator: torch.Generator
) -> Trial:
    r"""Three layers from a small random start, exponential loss, two clouds, no bias.

    Steps are :math:`g / 2 \lVert g \rVert^2` along the gradient g of the logarithm of the loss, at
    most a twentieth of the weights: a fixed step would overflow, for the gradient grows with the
    square of the weights. The start, for comparison, has a first singular value like any random
    matrix and layers that are not aligned.
    """
    rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
    z = two_classes(n, d, generator)
    shapes = ((width, d), (width, width), (1, width))
    layers = [0.02 * rng.standard_normal(shape) for shape in shapes]
    best = float(1 / np.linalg.norm(hard_margin(z)[0]))
    marks = np.unique(np.logspace(0, np.log10(steps), 25).astype(int))
    way = [readings(layers, z, best)]
    for step in range(1, steps + 1):
        advance(layers, z)
        if step in marks:
            way.append(readings(layers, z, best))
    table = np.array(way)  # [marks, (margin, share, alignment)]
    names = ("margin over the largest", "share of the first singular value", "alignment")
    return Trial(
        effect=float(table[-1].min()),
        parts={name: float(value) for name, value in zip(names, table[-1], strict=True)}
        | {f"{name}, at the start": float(v) for name, v in zip(names, table[0], strict=True)},
        figures=(
            Curve(
                "A deep linear network",
                "steps",
                "distance from one",
                torch.tensor(marks, dtype=torch.double),
                {
                    name: torch.tensor((1 - table[1:, column]).clip(1e-12))
                    for column, name in enumerate(names)
                },
                log_x=True,
                log_y=True,
            ),
        ),
    )


def advance(layers: list[np.ndarray], z: np.ndarray) -> None:
    """One step along the gradient of the logarithm of the exponential loss, in place."""
    first, second, third = layers
    one = z @ first.T
    two = one @ second.T
    below = third @ second
    shares = softmax(two @ third[0])
    ascents = (np.outer(below[0], shares @ z), np.outer(third[0], shares @ one), shares @ two)
    power = sum((ascent**2).sum() for ascent in ascents)
    size = sum((layer**2).sum() for layer in layers)
    rate = min(0.5 / power, 0.05 * (size / power) ** 0.5)
    for layer, ascent in zip(layers, ascents, strict=True):
        layer += rate * ascent


def readings(layers: list[np.ndarray], z: Float[np.ndarray, "n d"], best: float) -> list[float]:
    """Margin over the best, smallest share of a first singular value, smallest alignment."""
    product = (layers[2] @ layers[1] @ layers[0])[0]
    parts = [np.linalg.svd(layer, full_matrices=False) for layer in layers]
    return [
        float((z @ product).min() / np.linalg.norm(product) / best),
        min(float(part.S[0] ** 2 / (part.S**2).sum()) for part in parts),
        min(float(abs(b.Vh[0] @ a.U[:, 0])) for a, b in pairwise(parts)),
    ]
