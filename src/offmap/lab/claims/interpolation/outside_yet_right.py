"""A network is right on pictures of which not one is inside the hull of what it learned from."""

from collections.abc import Mapping

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.interpolation.pictures import learned, sets, wrong
from offmap.lab.data import Images
from offmap.numerics.hull import membership

SIZES = {"digits": (1400, 397), "mnist": (20_000, 1000)}


@claim(
    says="A network is right on more than 95 of 100 test pictures that lie outside the hull of "
    "its training pictures.",
    effect="Accuracy on the test pictures outside the hull, in pixels; the lowest over the sets",
    above=0.95,
    scales={
        "smoke": {"hidden": (128,), "epochs": 16},
        "desk": {"hidden": (256,), "epochs": 12},
        "full": {"hidden": (512, 256), "epochs": 20},
    },
    seconds={"smoke": 0.3, "desk": 20.0, "full": 90.0},
    paper=Paper("Balestriero, Pesenti & LeCun 2021", "https://arxiv.org/abs/2110.09485"),
    data={"desk": ("mnist",), "full": ("mnist",)},
)
def outside_yet_right(
    *,
    hidden: tuple[int, ...],
    epochs: int,
    data: Mapping[str, Images],
    generator: torch.Generator,
) -> Trial:
    """A network with ReLU learns scikit-learn's digits (1,400), and at larger scales MNIST.

    Each test picture's side is proved. The parts have the share inside: of pictures of as many
    pixels there is none, so that nothing that is right is so by interpolating in this sense.
    """
    parts, rates = {}, []
    for name, pictures in sets(data, SIZES, generator=generator).items():
        model = learned(pictures, hidden=hidden, epochs=epochs, generator=generator)
        outside = ~membership(pictures.train, pictures.test).inside
        missed = wrong(model, pictures.test, pictures.test_targets)
        rates.append(1 - missed[outside].double().mean().item())
        right = ~missed
        parts |= {
            f"{name}: accuracy": 1 - missed.double().mean().item(),
            f"{name}: inside the hull": 1 - outside.double().mean().item(),
            f"{name}: inside, of those that are right": (~outside)[right].double().mean().item(),
        }
    return Trial(min(rates), parts)
