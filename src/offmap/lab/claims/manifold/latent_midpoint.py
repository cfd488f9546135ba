"""Halfway between two codes is nearer to the data than halfway between two pictures."""

from collections.abc import Mapping

import torch

from offmap.figures import Bars
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.manifold.midpoints import (
    CODES,
    PIXELS,
    REBUILT_PIXELS,
    bars,
    distances,
    the_images,
)
from offmap.lab.data import Images


@claim(
    says="Decoded midpoints of an autoencoder's codes lie nearer to real images than midpoints of "
    "the pixels of its reconstructions.",
    effect="mean distance of midpoints of codes over that of midpoints of pixels, largest of codes",
    below=1.0,
    scales={
        "smoke": {"n": 800, "codes": (8,), "epochs": 12, "pairs": 300},
        "desk": {"n": 3000, "codes": (2, 8, 16), "epochs": 12, "pairs": 600},
        "full": {"n": 60000, "codes": (2, 8, 16, 32), "epochs": 30, "pairs": 2000},
    },
    seconds={"smoke": 0.3, "desk": 6.0, "full": 600.0},
    paper=Paper("Berthelot et al. 2019", "https://arxiv.org/abs/1807.07543"),
    data={"desk": ("mnist",), "full": ("mnist",)},
)
def latent_midpoint(
    *,
    n: int,
    codes: tuple[int, ...],
    epochs: int,
    pairs: int,
    data: Mapping[str, Images] | None = None,
    generator: torch.Generator,
) -> Trial:
    """Distance to the nearest train image, over random pairs of test images of any class.

    Both kinds of midpoint are made of what the network decodes, so that neither is sharper than
    the other. Digits at smoke scale, MNIST at others.
    """
    train, test = the_images(data, n, generator)
    ratios, parts, found = [], {}, {}
    for code in codes:
        found = distances(train, test, code=code, epochs=epochs, pairs=pairs, generator=generator)
        means = {name: values.mean().item() for name, values in found.items()}
        ratios.append(means[CODES] / means[REBUILT_PIXELS])
        parts |= {f"code of {code}: {name}": value for name, value in means.items()}
        parts[f"code of {code}: over plain pixels"] = means[CODES] / means[PIXELS]
    figure = Bars(f"Distance to train, code of {codes[-1]}", "distance", bars(found))
    return Trial(max(ratios), parts, (figure,))
