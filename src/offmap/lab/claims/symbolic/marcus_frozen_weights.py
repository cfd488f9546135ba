"""Are frozen weights all that keeps a network from copying odd numbers?"""

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.symbolic.identity import binary, copied, numbers, recipe
from offmap.lab.claims.symbolic.networks import again, first_layer, sources
from offmap.run import Split
from offmap.train import ensemble_trainer


@claim(
    says="Networks shown even numbers fail at odd ones only because the weights of the last place "
    "never learn: coded as -1 and 1, where they do learn, most odd numbers come out right.",
    effect="Share of the odd numbers that come out right with places coded as -1 and 1.",
    above=0.5,
    scales={
        "smoke": {"places": 10, "epochs": 150, "networks": 3},
        "desk": {"places": 16, "epochs": 20, "networks": 5},
        "full": {"places": 16, "epochs": 100, "networks": 10},
    },
    seconds={"smoke": 0.25, "desk": 0.9, "full": 30},
    paper=Paper(
        "Melamed, Yehudai and Vardi 2023, Adversarial examples exist in two-layer ReLU networks "
        "for low dimensional linear subspaces",
        "https://arxiv.org/abs/2303.00783",
    ),
    corrected="marcus_false_remedies",
)
def marcus_frozen_weights(
    *, places: int, epochs: int, networks: int, generator: torch.Generator
) -> Trial:
    """As in `marcus_identity`, with -1 where a place is 0, so that every weight has a gradient.

    How far the weights of the last place moved is among the parts: the root mean square of their
    change. They learn what a bias learns; that the place may differ is in none of the examples.

    Args:
        places: Of the numbers.
        epochs: Passes over what is shown.
        networks: Trained at once, on the same numbers.
        generator: Source of numbers and weights.
    """
    known = numbers(places, generator=generator)
    shown, even, odd = (binary(part, places) for part in known)
    seeds, split = sources(networks, generator), Split(2 * shown - 1, shown)
    before = ensemble_trainer(recipe(places, 0))(split, again(seeds))
    after = ensemble_trainer(recipe(places, epochs))(split, seeds)
    moved = [_last(a) - _last(b) for a, b in zip(after, before, strict=True)]
    return Trial(
        effect=copied(after, 2 * odd - 1, odd),
        parts={
            "even numbers right": copied(after, 2 * even - 1, even),
            "change of the last place's weights": torch.stack(moved).square().mean().sqrt().item(),
        },
    )


def _last(network: torch.nn.Module) -> torch.Tensor:
    """The weights that leave the last place."""
    return first_layer(network).weight.detach()[:, -1]
