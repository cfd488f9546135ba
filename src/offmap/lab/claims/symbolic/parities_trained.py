"""Networks that are shown parities of some random strings."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from offmap.lab.claims.symbolic.networks import sources
from offmap.lab.claims.symbolic.parities import strings
from offmap.models.mlp import MLP
from offmap.run import Recipe, Split
from offmap.train import ensemble_trainer

FRESH = 2**15


def fresh_and_shown(
    shown: int, places: int, *, generator: torch.Generator
) -> tuple[Float[Tensor, "m places"], Float[Tensor, "n places"]]:
    """Random strings, and others that are not among them."""
    x = strings(shown, places, generator=generator)
    others = strings(FRESH, places, generator=generator)
    weight = 2 ** torch.arange(places)
    known = ((x > 0) * weight).sum(dim=1)
    return others[~torch.isin(((others > 0) * weight).sum(dim=1), known)], x


def shown_parities(
    x: Float[Tensor, "n places"],
    sets: Sequence[Int[Tensor, " _"]],
    width: int,
    epochs: int,
    *,
    generator: torch.Generator,
) -> list[nn.Module]:
    """A network of two hidden layers for each set of places, trained at once with Adam.

    Args:
        x: The strings.
        sets: Places whose product each network is shown.
        width: Of both hidden layers.
        epochs: Passes over the strings.
        generator: Source of the weights.
    """
    splits = [Split(x, (x[:, of].prod(dim=1, keepdim=True) > 0).float()) for of in sets]
    recipe = Recipe(
        lambda: MLP(x.shape[1], (width, width), 1),
        lambda weights: torch.optim.Adam(weights, lr=2e-3),
        binary_cross_entropy_with_logits, epochs, 64,
    )  # fmt: skip
    return ensemble_trainer(recipe)(splits, sources(len(splits), generator))
