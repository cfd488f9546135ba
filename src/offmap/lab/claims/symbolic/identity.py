"""Marcus' experiment: networks that copy numbers written in binary, shown even ones alone."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from offmap.models.mlp import MLP
from offmap.run import Loss, Recipe

SHARE = 0.1  # of the even numbers that are shown, as in Marcus 1998
HIDDEN, RATE = 100, 0.02


class Numbers(NamedTuple):
    """All whole numbers of so many binary places, in three parts."""

    shown: Int[Tensor, " n"]  # even
    even: Int[Tensor, " m"]  # the other even ones
    odd: Int[Tensor, " k"]


def numbers(places: int, *, generator: torch.Generator) -> Numbers:
    """Every number below 2^places; which even ones are shown is drawn."""
    even = torch.arange(0, 2**places, 2)
    even = even[torch.randperm(len(even), generator=generator)]
    count = round(SHARE * len(even))
    return Numbers(even[:count], even[count:], torch.arange(1, 2**places, 2))


def binary(values: Int[Tensor, " n"], places: int) -> Float[Tensor, "n places"]:
    """Zeros and ones, the least significant place last."""
    return (values[:, None] >> torch.arange(places - 1, -1, -1) & 1).float()


def recipe(
    places: int,
    epochs: int,
    *,
    loss: Loss = binary_cross_entropy_with_logits,
    build: Callable[[], nn.Module] | None = None,
    weight_decay: float = 0.0,
) -> Recipe:
    """How a network is trained to copy: Adam, with the whole of 2^10 or a part of more in a batch.

    Args:
        places: Of the numbers.
        epochs: Passes over what is shown.
        loss: Of the answer for each place.
        build: Makes the network; a fully connected one where None.
        weight_decay: Added to the gradient.
    """
    return Recipe(
        build or (lambda: MLP(places, (HIDDEN,), places)),
        lambda weights: torch.optim.Adam(weights, lr=RATE, weight_decay=weight_decay),
        loss,
        epochs,
        256,
    )


def copied(
    networks: Sequence[nn.Module],
    inputs: Float[Tensor, "n places"],
    wanted: Float[Tensor, "n places"],
    *,
    above: float = 0.0,
) -> float:
    """Share of inputs that come out right in every place, over all networks.

    Args:
        networks: What copies.
        inputs: What is put in.
        wanted: Zeros and ones.
        above: An answer that says one; 0 for a logit, a half for the bit itself.
    """
    with torch.no_grad():
        right = [((net(inputs) > above) == (wanted > 0)).all(1).double().mean() for net in networks]
    return torch.stack(right).mean().item()
