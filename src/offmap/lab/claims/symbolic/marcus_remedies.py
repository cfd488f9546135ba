"""What lets a network that was shown even numbers alone copy odd ones."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from offmap.estimate import exact
from offmap.figures import Bars
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.symbolic.identity import HIDDEN, binary, copied, numbers, recipe
from offmap.lab.claims.symbolic.networks import sources
from offmap.models.mlp import MLP
from offmap.run import Split
from offmap.train import ensemble_trainer

ORDERS = 4  # of the places of each number shown, when they are permuted


class Residual(nn.Module):
    """The input plus a network of it whose last layer begins at zero.

    Args:
        places: Of the numbers.
    """

    def __init__(self, places: int) -> None:
        super().__init__()
        self.rest = MLP(places, (HIDDEN,), places)
        nn.init.zeros_(self.rest.head.weight)
        nn.init.zeros_(self.rest.head.bias)

    def forward(self, inputs: Float[Tensor, "n places"]) -> Float[Tensor, "n places"]:
        """The answer for each place."""
        return inputs + self.rest(inputs)


def one_for_all() -> nn.Module:
    """One small network that is used at every place: a convolution of width one."""
    return nn.Sequential(
        nn.Unflatten(1, (-1, 1)), nn.Linear(1, 16), nn.ReLU(), nn.Linear(16, 1), nn.Flatten()
    )


@claim(
    says="Each of these lets a network that is shown even numbers alone copy odd ones: the same "
    "weights at every place; the places of what is shown permuted at random; only the difference "
    "from the input left to learn, under squared error.",
    effect="Share of the odd numbers never shown that come out right; the least over remedies and "
    "lengths.",
    above=0.99,
    scales={
        "smoke": {"epochs": {10: 60}, "networks": 2},
        "desk": {"epochs": {10: 300, 16: 15}, "networks": 3},
        "full": {"epochs": {10: 3000, 16: 100}, "networks": 10},
    },
    seconds={"smoke": 0.4, "desk": 5, "full": 60},
    paper=Paper(
        "Marcus 1998, Rethinking eliminative connectionism",
        "https://doi.org/10.1006/cogp.1998.0694",
    ),
)
def marcus_remedies(
    *, epochs: Mapping[int, int], networks: int, generator: torch.Generator
) -> Trial:
    """As in `marcus_identity`, which is the control, with one thing changed at a time.

    Permuted numbers are not all even: those odd numbers that are shown so are not counted. What
    is left to learn beside the input begins at zero and has no error to learn from: this network
    is right before it is trained, and stays so.

    Args:
        epochs: Passes over what is shown, for each length of the numbers.
        networks: Trained at once for each remedy, on the same numbers.
        generator: Source of numbers, orders and weights.
    """
    parts: dict[str, float] = {}
    for places, passes in epochs.items():
        known = numbers(places, generator=generator)
        shown, odd = binary(known.shown, places), binary(known.odd, places)
        order = torch.rand(ORDERS * len(shown), places, generator=generator).argsort(dim=1)
        permuted = shown.repeat(ORDERS, 1).gather(1, order)
        weight = 2 ** torch.arange(places - 1, -1, -1)
        fresh = odd[~torch.isin(known.odd, (permuted.long() * weight).sum(dim=1))]
        plain = recipe(places, passes)
        shared = recipe(places, passes, build=one_for_all)
        skipping = recipe(places, passes, build=lambda n=places: Residual(n), loss=mse_loss)
        for name, how, given, threshold in (
            ("control", plain, shown, 0.0),
            ("shared weights", shared, shown, 0.0),
            ("permuted places", plain, permuted, 0.0),
            ("residual, squared error", skipping, shown, 0.5),
        ):
            found = ensemble_trainer(how)(Split(given, given), sources(networks, generator))
            parts[f"{name}, {places} places"] = copied(found, fresh, fresh, above=threshold)
    return Trial(
        effect=min(share for name, share in parts.items() if not name.startswith("control")),
        parts=parts,
        figures=(
            Bars(
                "Odd numbers that are copied, with what helps", "share right",
                {name: exact(share) for name, share in parts.items()},
            ),
        ),
    )  # fmt: skip
