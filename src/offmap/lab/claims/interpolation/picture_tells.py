"""Is what lies inside in a picture inside in the space?"""

import numpy as np
import torch
from scipy.spatial import Delaunay

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.interpolation.pictures import drawn
from offmap.lab.data import digits
from offmap.numerics.hull import membership
from offmap.numerics.principal import principal_components


@claim(
    says="A picture in two dimensions shows what interpolates: most points that lie inside the "
    "cloud there lie inside it in the space.",
    effect="Of test digits inside the hull of the training digits in the picture by two principal "
    "components, the share inside in all pixels",
    above=0.5,
    scales={
        "smoke": {"examples": 200},
        "desk": {"examples": 397},
        "full": {"examples": 397},
    },
    seconds={"smoke": 0.1, "desk": 0.2, "full": 0.2},
    paper=Paper("Balestriero, Pesenti & LeCun 2021", "https://arxiv.org/abs/2110.09485"),
    corrected="picture_hull",
)
def picture_tells(*, examples: int, generator: torch.Generator) -> Trial:
    """scikit-learn's digits, 1,400 to span the hull, and a triangulation of them in the plane.

    A projection can only bring points inside: what is outside in a linear picture is outside in
    the space, and nothing follows from being inside.
    """
    pictures = drawn(digits(), 1400, examples, generator=generator)
    found = principal_components(pictures.train, 2, generator=generator)
    plane = Delaunay(found.project(pictures.train).numpy())
    shown = torch.from_numpy(
        np.asarray(plane.find_simplex(found.project(pictures.test).numpy()) >= 0)
    )
    inside = membership(pictures.train, pictures.test).inside
    return Trial(
        inside[shown].double().mean().item(),
        {
            "inside in the picture": shown.double().mean().item(),
            "inside in all pixels": inside.double().mean().item(),
        },
    )
