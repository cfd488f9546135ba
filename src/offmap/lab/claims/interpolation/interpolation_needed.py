"""Is what a network gets right what it can interpolate?"""

from collections.abc import Mapping

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.interpolation.outside_yet_right import outside_yet_right
from offmap.lab.data import Images


@claim(
    says="A network is right where it interpolates: most of the test pictures that it gets right "
    "lie in the hull of its training pictures.",
    effect="Share inside the hull, in pixels, of the test pictures that it gets right; the largest "
    "over the sets",
    above=0.5,
    scales={
        "smoke": {"hidden": (64,), "epochs": 4},
        "desk": {"hidden": (256,), "epochs": 4},
        "full": {"hidden": (512, 256), "epochs": 10},
    },
    seconds={"smoke": 0.2, "desk": 10.0, "full": 50.0},
    paper=Paper("Balestriero, Pesenti & LeCun 2021", "https://arxiv.org/abs/2110.09485"),
    corrected="outside_yet_right",
    data={"desk": ("mnist",), "full": ("mnist",)},
)
def interpolation_needed(
    *,
    hidden: tuple[int, ...],
    epochs: int,
    data: Mapping[str, Images],
    generator: torch.Generator,
) -> Trial:
    """The protocol of `outside_yet_right`, asked the other way around."""
    found = outside_yet_right(hidden=hidden, epochs=epochs, data=data, generator=generator)
    shares = [share for name, share in found.parts.items() if name.endswith("that are right")]
    return Trial(max(shares), found.parts)
