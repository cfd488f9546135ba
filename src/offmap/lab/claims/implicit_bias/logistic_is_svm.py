"""The popular form: logistic regression, trained long enough, is a hard-margin SVM."""

import numpy as np
import torch

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.implicit_bias.logistic_max_margin import descent, flow, learning_rate
from offmap.lab.claims.implicit_bias.max_margin import degrees, hard_margin, two_classes


@claim(
    says="Logistic regression trained by gradient descent on separable examples is the "
    "hard-margin SVM: after many thousand steps its direction is within one degree.",
    effect="angle between the trained and the hard-margin direction, in degrees",
    below=1.0,
    scales={
        "smoke": {"n": 40, "d": 2, "steps": 10_000},
        "desk": {"n": 40, "d": 2, "steps": 1_000_000},
        "full": {"n": 40, "d": 2, "steps": 10_000_000},
    },
    seconds={"smoke": 0.05, "desk": 4.0, "full": 40.0},
    paper=Paper("Soudry et al. 2018", "https://arxiv.org/abs/1710.10345"),
    corrected="logistic_max_margin",
)
def logistic_is_svm(*, n: int, d: int, steps: int, generator: torch.Generator) -> Trial:
    """Two clouds, no bias, full-batch descent from zero at the largest safe learning rate.

    All examples are right after few steps; the angle then falls like 1 / log(steps). Gradient flow
    at the same time tells that it is not for the discrete steps, and flow at e^25 and e^100 where
    it would lead.
    """
    z = two_classes(n, d, generator)
    svm, _ = hard_margin(z)
    marks = np.unique(np.logspace(0, np.log10(steps), 25).astype(int)).tolist()
    way = descent(z, marks)
    angles = [degrees(w, svm) for w in way]
    same, later, last = flow(z, [float(np.log(learning_rate(z) * steps)), 25.0, 100.0])
    return Trial(
        effect=angles[-1],
        parts={
            "smallest margin of an example": float((z @ way[-1]).min()),
            "margin over the largest": float(
                (z @ way[-1]).min() / np.linalg.norm(way[-1]) * np.linalg.norm(svm)
            ),
            "degrees of flow at the same time": degrees(same, svm),
            "degrees of flow at e^25": degrees(later, svm),
            "degrees of flow at e^100": degrees(last, svm),
        },
        figures=(
            Curve(
                "Logistic regression by gradient descent",
                "steps",
                "degrees from the hard-margin direction",
                torch.tensor(marks, dtype=torch.double),
                {"": torch.tensor(angles, dtype=torch.double)},
                log_x=True,
            ),
        ),
    )
