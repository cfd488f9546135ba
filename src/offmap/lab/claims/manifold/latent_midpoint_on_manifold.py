"""A latent space is said to interpolate along the manifold of the data."""

from collections.abc import Mapping

import torch

from offmap.figures import Bars
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.manifold.midpoints import CODES, REBUILT, bars, distances, the_images
from offmap.lab.data import Images


@claim(
    says="Halfway between two codes of an autoencoder one is on the manifold of the data: decoded "
    "midpoints lie as near to real images as reconstructions do, within 5 %.",
    effect="mean distance of midpoints of codes over that of reconstructions, largest of codes",
    below=1.05,
    scales={
        "smoke": {"n": 800, "codes": (8,), "epochs": 12, "pairs": 300},
        "desk": {"n": 3000, "codes": (2, 8, 16), "epochs": 12, "pairs": 600},
        "full": {"n": 60000, "codes": (2, 8, 16, 32), "epochs": 30, "pairs": 2000},
    },
    seconds={"smoke": 0.3, "desk": 6.0, "full": 600.0},
    paper=Paper("Berthelot et al. 2019", "https://arxiv.org/abs/1807.07543"),
    corrected="latent_midpoint",
    data={"desk": ("mnist",), "full": ("mnist",)},
)
def latent_midpoint_on_manifold(
    *,
    n: int,
    codes: tuple[int, ...],
    epochs: int,
    pairs: int,
    data: Mapping[str, Images] | None = None,
    generator: torch.Generator,
) -> Trial:
    """Distance to the nearest train image, over random pairs of test images of any class.

    Reconstructions are decoded as midpoints are, so the two are equally smooth. Digits at smoke
    scale, MNIST at others.
    """
    train, test = the_images(data, n, generator)
    ratios, parts, found = [], {}, {}
    for code in codes:
        found = distances(train, test, code=code, epochs=epochs, pairs=pairs, generator=generator)
        ratios.append((found[CODES].mean() / found[REBUILT].mean()).item())
        parts[f"code of {code}"] = ratios[-1]
    figure = Bars(f"Distance to train, code of {codes[-1]}", "distance", bars(found))
    return Trial(max(ratios), parts, (figure,))
