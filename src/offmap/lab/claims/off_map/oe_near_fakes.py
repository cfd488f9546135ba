"""Fakes near the data keep passing, whatever far noise a network was trained against."""

import torch

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.off_map.outlier_exposure import FAR, NEAR, NOISE, SCALES, passing, train


@claim(
    says="Training against five kinds of far noise leaves fakes near the data: more than 30 % of "
    "mixtures and of splices of two digits pass where 95 % of the digits do.",
    effect="Smaller of the shares of mixtures and of splices that pass.",
    above=0.3,
    scales=SCALES,
    seconds={"smoke": 0.4, "desk": 4.0, "full": 30.0},
    paper=Paper("Hendrycks, Mazeika & Dietterich 2019", "https://arxiv.org/abs/1812.04606"),
)
def oe_near_fakes(*, epochs: int, batch_size: int, generator: torch.Generator) -> Trial:
    """Networks trained on digits against none, one, three and five kinds of noise.

    A fake is made of two digits of different classes: their mean, or one's upper half over the
    other's lower half. Control: the far families, which stop passing.
    """
    counts = (0, 1, 3, 5)
    models = train([NOISE[:count] for count in counts], epochs, batch_size, generator)
    tables = [passing(model, (*FAR, *NEAR), generator) for model in models]
    shares = {
        name: torch.tensor([table[name] for table in tables], dtype=torch.double)
        for name in ("mixture", "splice", "permuted", "inverted")
    }
    return Trial(
        effect=min(tables[-1][family.__name__] for family in NEAR),
        parts={
            "mixtures without noise in training": tables[0]["mixture"],
            "splices without noise in training": tables[0]["splice"],
            "mixtures with five kinds": tables[-1]["mixture"],
            "splices with five kinds": tables[-1]["splice"],
            "most of a far family with five kinds": max(tables[-1][f.__name__] for f in FAR),
        },
        figures=(
            Curve(
                "Outliers that pass", "kinds of noise trained against", "share that passes",
                torch.tensor(counts, dtype=torch.double), shares,
            ),
        ),
    )  # fmt: skip
