"""A parity of few places is learned, and the more places the longer it takes."""

from collections.abc import Mapping

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.symbolic.networks import sources
from offmap.lab.claims.symbolic.parities import right, strings
from offmap.models.mlp import MLP
from offmap.run import Recipe, Split
from offmap.train import ensemble_trainer


@claim(
    says="A network learns the parity of 2 and of 3 out of 20 places from thousands of strings, to "
    "at least 98 % on strings not shown.",
    effect="Accuracy on strings not shown; mean over networks, the least over set sizes.",
    above=0.98,
    scales={
        "smoke": {"places": 20, "shown": {3: 5000}, "epochs": 3, "networks": 1},
        "desk": {
            "places": 20,
            "shown": {2: 5000, 3: 10_000, 4: 20_000},
            "epochs": 8,
            "networks": 3,
        },
        "full": {
            "places": 20,
            "shown": {2: 5000, 3: 10_000, 4: 40_000},
            "epochs": 20,
            "networks": 10,
        },
    },
    seconds={"smoke": 0.4, "desk": 11, "full": 100},
    paper=Paper(
        "Barak et al. 2022, Hidden progress in deep learning: SGD learns parities near the "
        "computational limit",
        "https://arxiv.org/abs/2207.08799",
    ),
)
def parity_sparse(
    *, places: int, shown: Mapping[int, int], epochs: int, networks: int, generator: torch.Generator
) -> Trial:
    """One hidden ReLU layer, strings of -1 and 1, logistic loss, Adam; the set is drawn.

    The control asks the network for another set of as many places than it was shown.

    Args:
        places: Of the strings.
        shown: Strings to train on, for each size of the set.
        epochs: Passes over them.
        networks: Trained at once.
        generator: Source of sets, strings and weights.
    """
    parts: dict[str, float] = {}
    for size, count in shown.items():
        order = torch.randperm(places, generator=generator)
        of, other = order[:size], order[size : 2 * size]
        x = strings(count, places, generator=generator)
        fresh = strings(2**13, places, generator=generator)
        recipe = Recipe(
            lambda: MLP(places, (128,), 1),
            lambda weights: torch.optim.Adam(weights, lr=1e-2),
            binary_cross_entropy_with_logits, epochs, 50,
        )  # fmt: skip
        split = Split(x, (x[:, of].prod(dim=1, keepdim=True) > 0).float())
        nets = ensemble_trainer(recipe)(split, sources(networks, generator))
        for name, places_of in (("", of), (", another set", other)):
            accuracy = sum(right(net, fresh, places_of) for net in nets) / networks
            parts[f"{size} of {places} places{name}"] = accuracy
    return Trial(effect=min(parts[f"{size} of {places} places"] for size in shown), parts=parts)
