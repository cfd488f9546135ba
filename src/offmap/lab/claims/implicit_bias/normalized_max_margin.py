"""Descent of the logarithm of the loss reaches the largest margin in thousands of steps."""

import numpy as np
import torch

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.implicit_bias.logistic_max_margin import descent
from offmap.lab.claims.implicit_bias.max_margin import hard_margin, softmax, two_classes

MARKS = np.unique(np.logspace(0, 4, 25).astype(int))


@claim(
    says="Normalized gradient descent on separable examples in the plane has more than 99.99 % of "
    "the largest margin after 10,000 steps, where plain descent is some percent away.",
    effect="margin after 10,000 steps over the largest possible",
    above=0.9999,
    scales={
        "smoke": {"n": 20, "d": 2},
        "desk": {"n": 200, "d": 2},
        "full": {"n": 1000, "d": 2},
    },
    seconds={"smoke": 0.2, "desk": 0.6, "full": 3.0},
    paper=Paper("Nacson et al. 2018", "https://arxiv.org/abs/1803.01905"),
)
def normalized_max_margin(*, n: int, d: int, generator: torch.Generator) -> Trial:
    r"""Two clouds, no bias, exponential loss; the gradient is divided by the loss.

    That is the gradient g of the logarithm of the loss; steps are :math:`g / 2 \lVert g \rVert^2`,
    so that each lowers that logarithm by about a half and w grows in proportion to the steps, not
    to their logarithm.
    """
    z = two_classes(n, d, generator)
    svm, _ = hard_margin(z)
    w, way = np.zeros(d), []
    for _ in range(int(MARKS[-1])):
        ascent = softmax(z @ w) @ z
        w = w + 0.5 * ascent / (ascent @ ascent)
        way.append(w)
    normalized, plain = (
        (path @ z.T).min(axis=1) / np.linalg.norm(path, axis=1) * np.linalg.norm(svm)
        for path in (np.stack(way)[MARKS - 1], descent(z, MARKS.tolist()))
    )
    return Trial(
        effect=float(normalized[-1]),
        parts={
            "after 1,000 steps": float(normalized[np.searchsorted(MARKS, 1000)]),
            "plain descent, 10,000 steps": float(plain[-1]),
        },
        figures=(
            Curve(
                "Distance from the largest margin",
                "steps",
                "1 - margin / largest margin",
                torch.tensor(MARKS, dtype=torch.double),
                {
                    "normalized descent": torch.tensor((1 - normalized).clip(1e-16)),
                    "plain descent": torch.tensor(1 - plain),
                },
                log_x=True,
                log_y=True,
            ),
        ),
    )
