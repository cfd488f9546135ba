"""Whole numbers, which of them are prime, and networks that are asked."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from offmap.lab.claims.symbolic.identity import binary
from offmap.lab.claims.symbolic.networks import sources
from offmap.models.mlp import MLP
from offmap.numerics.ranking import auroc
from offmap.run import Recipe, Split
from offmap.train import ensemble_trainer, trainer

SHARE = 0.7  # of the numbers, which are trained on


class Training(NamedTuple):
    """Widths of the hidden layers, and how they are trained with Adam."""

    widths: tuple[int, ...]
    rate: float
    batch_size: int
    epochs: int


class Asked(NamedTuple):
    """A network, and the rows of the numbers that it was trained on and was not."""

    network: nn.Module
    shown: Int[Tensor, " m"]
    held: Int[Tensor, " k"]


def primes_below(limit: int) -> Bool[Tensor, " limit"]:
    """Whether each number from 0 is prime: the sieve of Eratosthenes."""
    prime = torch.ones(limit, dtype=torch.bool)
    prime[:2] = False
    for n in range(2, int(limit**0.5) + 1):
        if prime[n]:
            prime[n * n :: n] = False
    return prime


def ask(
    numbers: Int[Tensor, " n"],
    answers: Sequence[Bool[Tensor, " n"]],
    places: int,
    training: Training,
    *,
    generator: torch.Generator,
) -> list[Asked]:
    """A network for each list of answers, trained on numbers of its own choice.

    Args:
        numbers: All there are.
        answers: Whether it is so, for each number; one list for each network.
        places: Of the numbers.
        training: How.
        generator: Source of the choices and of weights.
    """
    count = round(SHARE * len(numbers))
    orders = [torch.randperm(len(numbers), generator=generator) for _ in answers]
    inputs = 2 * binary(numbers, places) - 1
    splits = [
        Split(inputs[order[:count]], answer[order[:count], None].float())
        for order, answer in zip(orders, answers, strict=True)
    ]
    recipe = Recipe(
        lambda: MLP(places, training.widths, 1),
        lambda weights: torch.optim.Adam(weights, lr=training.rate),
        binary_cross_entropy_with_logits, training.epochs, training.batch_size,
    )  # fmt: skip
    seeds = sources(len(splits), generator)
    if len(splits) == 1:  # faster by itself
        networks = [trainer(recipe)(splits[0], seeds[0])]
    else:
        networks = ensemble_trainer(recipe)(splits, seeds)
    return [
        Asked(network, order[:count], order[count:])
        for network, order in zip(networks, orders, strict=True)
    ]


def scores(network: nn.Module, numbers: Int[Tensor, " n"], places: int) -> Float[Tensor, " n"]:
    """The logit of each number."""
    with torch.no_grad():
        return network(2 * binary(numbers, places) - 1).flatten()


def multiples_area(
    score: Float[Tensor, " n"], numbers: Int[Tensor, " n"], prime: Bool[Tensor, " n"], factor: int
) -> float:
    """Whether multiples of a factor rank below the other odd numbers that are not prime.

    The area under the ROC curve: 0.5 where the score does not see the factor.
    """
    among = (numbers % 2 == 1) & ~prime
    return auroc(score[among], numbers[among] % factor > 0).item()


def gap_closed(
    score: Float[Tensor, " n"], numbers: Int[Tensor, " n"], prime: Bool[Tensor, " n"]
) -> float:
    """Of the area between the rule that looks at the last place alone and 1, the share gained."""
    rule = auroc(numbers % 2, prime).item()
    return (auroc(score, prime).item() - rule) / (1 - rule)
