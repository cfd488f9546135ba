"""Does a network interpolate among its own features?"""

from collections.abc import Mapping

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.interpolation.hull_latent import features
from offmap.lab.claims.interpolation.pictures import learned, sets, wrong
from offmap.lab.data import Images
from offmap.numerics.hull import membership

SIZES = {"digits": (1400, 397), "mnist": (20_000, 300)}


@claim(
    says="Pixels are the wrong place to look: among the features of its last hidden layer a "
    "trained network interpolates, and most test pictures are inside the hull.",
    effect="Share of the test pictures whose features are inside the hull of those of the training "
    "pictures; the largest over the sets",
    above=0.5,
    scales={
        "smoke": {"hidden": (128, 64), "epochs": 8},
        "desk": {"hidden": (256, 128), "epochs": 8},
        "full": {"hidden": (256, 128), "epochs": 20},
    },
    seconds={"smoke": 0.3, "desk": 15.0, "full": 40.0},
    paper=Paper("Balestriero, Pesenti & LeCun 2021", "https://arxiv.org/abs/2110.09485"),
    data={"desk": ("mnist",), "full": ("mnist",)},
)
def latent_interpolates(
    *,
    hidden: tuple[int, ...],
    epochs: int,
    data: Mapping[str, Images],
    generator: torch.Generator,
) -> Trial:
    """A network learns the pictures; sides are asked for among all features, each with its proof.

    Features after a ReLU lie on faces of an orthant, and may fill fewer dimensions than there are:
    what lies off their span is outside.
    """
    shares, parts = [], {}
    for name, pictures in sets(data, SIZES, generator=generator).items():
        model = learned(pictures, hidden=hidden, epochs=epochs, generator=generator)
        found = membership(features(model, pictures.train), features(model, pictures.test))
        missed = wrong(model, pictures.test, pictures.test_targets)
        shares.append(found.inside.double().mean().item())
        parts |= {
            f"{name}: inside": shares[-1],
            f"{name}: accuracy": 1 - missed.double().mean().item(),
            f"{name}: dimensions that the features fill": float(found.rank),
        }
    return Trial(max(shares), parts)
