"""The popular hope that training against outliers covers the outliers to come."""

from collections.abc import Mapping
from typing import Any

import torch

from offmap.figures import Matrix
from offmap.lab.claim import Paper, Scale, Trial, claim
from offmap.lab.claims.off_map import outlier_exposure as outliers
from offmap.lab.claims.off_map.outlier_exposure import FAR, NEAR, NOISE, passing, train

COVERED: Mapping[Scale, Mapping[str, Any]] = {
    scale: {**values, "alone": () if scale == "smoke" else tuple(f.__name__ for f in (*FAR, *NEAR))}
    for scale, values in outliers.SCALES.items()
}


@claim(
    says="A network trained against five kinds of outliers rejects the kinds that it has not seen: "
    "fewer than 8 % of any pass where 95 % of the digits do.",
    effect="Largest share that passes of a family it was not trained against.",
    below=0.08,
    scales=COVERED,
    seconds={"smoke": 0.2, "desk": 8.0, "full": 60.0},
    paper=Paper("Hendrycks, Mazeika & Dietterich 2019", "https://arxiv.org/abs/1812.04606"),
    corrected="oe_near_fakes",
)
def oe_covers_outliers(
    *, epochs: int, batch_size: int, alone: tuple[str, ...], generator: torch.Generator
) -> Trial:
    """Trained against uniform, normal and binary pixels, constant gray and blocks.

    Tried on digits with permuted pixels, inverted digits, mixtures and splices of two digits. In
    the figure also networks trained against one family each.
    """
    single = [(getattr(outliers, name),) for name in alone]
    models = train([NOISE, *single], epochs, batch_size, generator)
    tables = [passing(model, (*FAR, *NEAR), generator) for model in models]
    seen = {family.__name__ for family in NOISE}
    unseen = {name: share for name, share in tables[0].items() if name not in seen}
    return Trial(
        effect=max(unseen.values()),
        parts={f"{name} that pass": share for name, share in unseen.items()}
        | {"most of a family trained against that pass": max(tables[0][name] for name in seen)},
        figures=(
            Matrix(
                "Outliers that pass", "family", "trained against", tuple(tables[0]),
                ("five kinds of noise", *alone),
                torch.tensor([list(table.values()) for table in tables]),
            ),
        ),
    )  # fmt: skip
