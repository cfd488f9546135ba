"""Training against one kind of far noise teaches to reject the other kinds."""

import torch

from offmap.figures import Matrix
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.off_map.outlier_exposure import (
    FAR,
    NEAR,
    SCALES,
    accuracy,
    passing,
    train,
    uniform,
)


@claim(
    says="A network trained to be unsure of uniform noise alone is unsure of every other kind of "
    "far noise: fewer than 8 % of any pass where 95 % of the digits do.",
    effect="Largest share of a far family, other than uniform noise, that passes.",
    below=0.08,
    scales=SCALES,
    seconds={"smoke": 0.3, "desk": 2.0, "full": 12.0},
    paper=Paper("Hendrycks, Mazeika & Dietterich 2019", "https://arxiv.org/abs/1812.04606"),
)
def oe_far_noise(*, epochs: int, batch_size: int, generator: torch.Generator) -> Trial:
    """Digits and a network of one hidden layer; outliers are to get the same score in all classes.

    Far families: normal and binary pixels, constant gray, blocks, digits with permuted pixels,
    inverted digits. Control: the same network trained on digits alone.
    """
    models = train([(), (uniform,)], epochs, batch_size, generator)
    alone, exposed = (passing(model, (*FAR, *NEAR), generator) for model in models)
    others = [family.__name__ for family in FAR if family is not uniform]
    return Trial(
        effect=max(exposed[name] for name in others),
        parts={
            "smallest share of these without outliers in training": min(alone[n] for n in others),
            "mixtures of two digits that pass": exposed["mixture"],
            "splices of two digits that pass": exposed["splice"],
            "accuracy": accuracy(models[1]),
            "accuracy without outliers in training": accuracy(models[0]),
        },
        figures=(
            Matrix(
                "Outliers that pass", "family", "trained against", tuple(exposed),
                ("nothing", "uniform noise"),
                torch.tensor([list(alone.values()), list(exposed.values())]),
            ),
        ),
    )  # fmt: skip
