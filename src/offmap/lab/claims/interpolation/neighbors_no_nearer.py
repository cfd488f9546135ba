"""Are nearest neighbors meaningless wherever inputs have many numbers?"""

from collections.abc import Mapping

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.interpolation.distances_by_intrinsic_dimension import SIZES, nearness
from offmap.lab.claims.interpolation.pictures import sets
from offmap.lab.data import Images
from offmap.numerics.concentration import gaussian_nearness


@claim(
    says="Inputs of many numbers are all equally far apart: among pictures the nearest is at most "
    "a tenth nearer than among as much noise of as many pixels.",
    effect="Nearest distance over typical distance, divided by what Gaussian noise gives by the "
    "exact law; the smallest over the sets of pictures",
    above=0.9,
    scales={"smoke": {"examples": 200}, "desk": {"examples": 1000}, "full": {"examples": 1000}},
    seconds={"smoke": 0.05, "desk": 1.2, "full": 1.2},
    paper=Paper("Beyer et al. 1999", "https://doi.org/10.1007/3-540-49257-7_15"),
    corrected="distances_by_intrinsic_dimension",
    data={"desk": ("mnist",), "full": ("mnist",)},
)
def neighbors_no_nearer(
    *, examples: int, data: Mapping[str, Images], generator: torch.Generator
) -> Trial:
    """The median over test pictures, as in `distances_by_intrinsic_dimension`."""
    ratios, parts = [], {}
    for name, pictures in sets(data, SIZES, generator=generator).items():
        measured = nearness(pictures.test[:examples], pictures.train).median().item()
        law = gaussian_nearness(pictures.train.shape[1], len(pictures.train))
        ratios.append(measured / law)
        parts |= {f"{name}: nearest over typical distance": measured, f"{name}: of noise": law}
    return Trial(min(ratios), parts)
