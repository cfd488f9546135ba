"""Training against one kind of near fake does not cover another, nor what is far."""

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.off_map.outlier_exposure import (
    FAR,
    NEAR,
    SCALES,
    accuracy,
    mixture,
    passing,
    train,
)


@claim(
    says="Of a network trained against mixtures of two digits, more than 30 % of splices of two "
    "digits still pass where 95 % of the digits do.",
    effect="Share of splices that pass.",
    above=0.3,
    scales=SCALES,
    seconds={"smoke": 0.3, "desk": 2.0, "full": 12.0},
    paper=Paper("Hendrycks, Mazeika & Dietterich 2019", "https://arxiv.org/abs/1812.04606"),
)
def oe_mixtures(*, epochs: int, batch_size: int, generator: torch.Generator) -> Trial:
    """Mixtures are means of two digits; splices the upper half of one over the lower of another.

    In parts: fresh mixtures, the family trained against, and the far families, to which training
    against near fakes does not carry over, although they are farther away.
    """
    models = train([(), (mixture,)], epochs, batch_size, generator)
    alone, exposed = (passing(model, (*FAR, *NEAR), generator) for model in models)
    far = [family.__name__ for family in FAR]
    return Trial(
        effect=exposed["splice"],
        parts={
            "splices without outliers in training": alone["splice"],
            "mixtures": exposed["mixture"],
            "mixtures without outliers in training": alone["mixture"],
            "far families, mean": sum(exposed[name] for name in far) / len(far),
            "far families without outliers in training, mean": (
                sum(alone[name] for name in far) / len(far)
            ),
            "accuracy": accuracy(models[1]),
        },
    )
