"""Whole numbers, which of them are prime, and networks that are asked."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from offmap.lab.claims.symbolic.identity import binary
from offmap.lab.claims.symbolic.networks import sources
from offmap.models.mlp import MLP
from offmap.numerics.ranking import auroc
from offmap.run import Recipe, Split
from offmap.train import ensemble_trainer

SHARE = 0.7  # of the numbers that are trained on


def primes_below(limit: int) -> Bool[Tensor, " limit"]:
    """Whether each number from 0 is prime: the sieve of Eratosthenes."""
    prime = torch.ones(limit, dtype=torch.bool)
    prime[:2] = False
    for n in range(2, int(limit**0.5) + 1):
        if prime[n]:
            prime[n * n :: n] = False
    return prime


def coded(numbers: Int[Tensor, " n"], places: int) -> Float[Tensor, "n places"]:
    """Binary places as -1 and 1."""
    return 2 * binary(numbers, places) - 1


def asked(
    numbers: Int[Tensor, " n"],
    answers: Sequence[Bool[Tensor, " n"]],
    places: int,
    *,
    width: int,
    epochs: int,
    generator: torch.Generator,
) -> tuple[list[nn.Module], list[Int[Tensor, " m"]], list[Int[Tensor, " k"]]]:
    """A network for each list of answers, trained on numbers of its own choice.

    Args:
        numbers: All there are.
        answers: Whether it is so, for each number; one list for each network.
        places: Of the numbers.
        width: Of both hidden layers.
        epochs: Passes over what is trained on.
        generator: Source of the choice and of weights.

    Returns:
        The networks, and the rows that each was trained on and was not.
    """
    count = round(SHARE * len(numbers))
    orders = [torch.randperm(len(numbers), generator=generator) for _ in answers]
    splits = [
        Split(coded(numbers[order[:count]], places), answer[order[:count], None].float())
        for order, answer in zip(orders, answers, strict=True)
    ]
    recipe = Recipe(
        lambda: MLP(places, (width, width), 1),
        lambda weights: torch.optim.Adam(weights, lr=2e-3),
        binary_cross_entropy_with_logits, epochs, 64,
    )  # fmt: skip
    networks = ensemble_trainer(recipe)(splits, sources(len(splits), generator))
    return networks, [order[:count] for order in orders], [order[count:] for order in orders]


def scores(network: nn.Module, numbers: Int[Tensor, " n"], places: int) -> Float[Tensor, " n"]:
    """The logit of each number."""
    with torch.no_grad():
        return network(coded(numbers, places)).flatten()


def area(
    network: nn.Module,
    numbers: Int[Tensor, " n"],
    answer: Bool[Tensor, " n"],
    rows: Int[Tensor, " m"],
    places: int,
) -> Float64[Tensor, ""]:
    """Area under the ROC curve over these rows."""
    return auroc(scores(network, numbers[rows], places), answer[rows])
