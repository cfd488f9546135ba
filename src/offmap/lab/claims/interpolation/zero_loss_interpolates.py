"""Does a network that fits all of its training data interpolate between them?"""

from collections.abc import Mapping

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.interpolation.pictures import learned, sets, wrong
from offmap.lab.data import Images
from offmap.numerics.hull import membership

SIZES = {"digits": (600, 397), "mnist": (5000, 500)}


@claim(
    says="An overparameterized network that fits its training data exactly interpolates: what it "
    "is asked next lies between them.",
    effect="Share of the test pictures that are inside the hull of training pictures which the "
    "network all gets right; the largest over the sets",
    above=0.5,
    scales={
        "smoke": {"hidden": (128,), "epochs": 25},
        "desk": {"hidden": (512,), "epochs": 40},
        "full": {"hidden": (512, 512), "epochs": 60},
    },
    seconds={"smoke": 0.3, "desk": 25.0, "full": 60.0},
    paper=Paper("Belkin et al. 2019", "https://arxiv.org/abs/1812.11118"),
    corrected="two_interpolations",
    data={"desk": ("mnist",), "full": ("mnist",)},
)
def zero_loss_interpolates(
    *,
    hidden: tuple[int, ...],
    epochs: int,
    data: Mapping[str, Images],
    generator: torch.Generator,
) -> Trial:
    """A network is trained, and sides are proved for the hull of what it fits, in pixels.

    Parts: its error on the training pictures, which is zero or next to it, and on the others.
    """
    shares, parts = [], {}
    for name, pictures in sets(data, SIZES, generator=generator).items():
        model = learned(pictures, hidden=hidden, epochs=epochs, generator=generator)
        fitted = ~wrong(model, pictures.train, pictures.targets)
        missed = wrong(model, pictures.test, pictures.test_targets)
        inside = membership(pictures.train[fitted], pictures.test).inside
        shares.append(inside.double().mean().item())
        parts |= {
            f"{name}: training error": 1 - fitted.double().mean().item(),
            f"{name}: test error": missed.double().mean().item(),
            f"{name}: inside the hull": shares[-1],
        }
    return Trial(max(shares), parts)
