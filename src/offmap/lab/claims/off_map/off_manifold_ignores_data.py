"""More data do not cure adversarial examples off the manifold."""

import torch

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.off_map.on_manifold_tracks_test_error import SCALES, rates


@claim(
    says="More data do not lower the rate of adversarial examples off the manifold: with the most "
    "training examples it is above 0.8 of that with the fewest, for networks trained with Adam.",
    effect="Rate of test points that an attack orthogonal to the subspace turns into errors, with "
    "the most examples over with the fewest.",
    above=0.8,
    scales={
        **SCALES,
        "smoke": {
            "worlds": 3, "subspace": 5, "dimension": 40, "width": 32, "sizes": (40, 320),
            "updates": 120,
        },
    },
    seconds={"smoke": 0.5, "desk": 7, "full": 600},
    paper=Paper("Stutz, Hein & Schiele 2019", "https://arxiv.org/abs/1812.00740"),
)  # fmt: skip
def off_manifold_ignores_data(
    *, worlds: int, subspace: int, dimension: int, width: int, sizes: tuple[int, ...], updates: int,
    generator: torch.Generator,
) -> Trial:  # fmt: skip
    """The worlds and attacks of on_manifold_tracks_test_error.

    Comparison: plain SGD with momentum, which never moves the weights off the subspace, so that
    what training adds on it makes attacks off it harder; and attacks within the subspace.
    """
    shape, ends = (worlds, subspace, dimension, width), (sizes[0], sizes[-1])
    adam = rates(shape, sizes, updates, "Adam", generator)
    sgd = rates(shape, ends, updates, "SGD", generator)
    return Trial(
        effect=(adam.off[-1] / adam.off[0]).item(),
        parts={
            "trained with SGD": (sgd.off[-1] / sgd.off[0]).item(),
            "attacks within the subspace, Adam": (adam.on[-1] / adam.on[0]).item(),
            "rate with the most examples, Adam": adam.off[-1].item(),
            "rate with the most examples, SGD": sgd.off[-1].item(),
        },
        figures=(
            Curve(
                "Attacks over examples", "training examples", "share of test points",
                torch.tensor(sizes, dtype=torch.double),
                {"within the subspace": adam.on, "off the subspace": adam.off}, log_x=True,
            ),
        ),
    )  # fmt: skip
