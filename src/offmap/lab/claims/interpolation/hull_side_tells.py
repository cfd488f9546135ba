"""Does the side of the hull tell where a network errs?"""

from collections.abc import Mapping

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.interpolation.pictures import components, learned, sets, wrong
from offmap.lab.data import Images
from offmap.numerics.hull import membership

SIZES = {"digits": (1200, 597), "mnist": (20_000, 2000)}
DIMENSIONS = {"digits": 6, "mnist": 9}  # of those looked at, where about half are inside


@claim(
    says="A network errs more often, by two in a hundred or more, on test pictures outside the "
    "hull of its training pictures than on those inside.",
    effect="Share of errors outside minus inside, with the hull taken in a few principal "
    "components, where it divides the test pictures evenly; the largest over the sets",
    above=0.02,
    scales={
        "smoke": {"hidden": (128,), "epochs": 16},
        "desk": {"hidden": (256,), "epochs": 6},
        "full": {"hidden": (512, 256), "epochs": 10},
    },
    seconds={"smoke": 0.4, "desk": 15.0, "full": 60.0},
    paper=Paper("Balestriero, Pesenti & LeCun 2021", "https://arxiv.org/abs/2110.09485"),
    corrected="outside_yet_right",
    data={"desk": ("mnist",), "full": ("mnist",)},
)
def hull_side_tells(
    *,
    hidden: tuple[int, ...],
    epochs: int,
    data: Mapping[str, Images],
    generator: torch.Generator,
) -> Trial:
    """A network sees all pixels; sides are asked for in the first 6 components (MNIST: 9).

    In all pixels every test picture is outside, and there is nothing to compare.
    """
    gaps, parts = [], {}
    for name, pictures in sets(data, SIZES, generator=generator).items():
        model = learned(pictures, hidden=hidden, epochs=epochs, generator=generator)
        missed = wrong(model, pictures.test, pictures.test_targets).double()
        inside = membership(
            *components(pictures.train, pictures.test, DIMENSIONS[name], generator=generator)
        ).inside
        out, within = missed[~inside].mean().item(), missed[inside].mean().item()
        gaps.append(out - within)
        parts |= {
            f"{name}: inside": inside.double().mean().item(),
            f"{name}: errors outside": out,
            f"{name}: errors inside": within,
        }
    return Trial(max(gaps), parts)
