"""Parities of binary strings coded as -1 and 1: products of some of their entries."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


def strings(count: int, places: int, *, generator: torch.Generator) -> Float[Tensor, "n places"]:
    """Random strings of -1 and 1."""
    return 2.0 * torch.randint(2, (count, places), generator=generator) - 1


def all_strings(places: int) -> Float[Tensor, "n places"]:
    """Every string of -1 and 1 once, all ones first."""
    numbers = torch.arange(2**places)
    return 1 - 2.0 * (numbers[:, None] >> torch.arange(places) & 1)


def right(network: nn.Module, strings: Float[Tensor, "n places"], of: Int[Tensor, " k"]) -> float:
    """Share of strings at which the network's sign is the parity of the places `of`."""
    with torch.no_grad():
        return (network(strings)[:, 0] * strings[:, of].prod(dim=1) > 0).double().mean().item()


def eliminated(
    strings: Int[Tensor, "b m n"], answers: Int[Tensor, "b m"]
) -> tuple[Int[Tensor, "b n"], Bool[Tensor, " b"]]:
    """The sets whose sums of zeros and ones, by 2, are the answers: Gauss' elimination.

    Args:
        strings: Of zeros and ones, m of them for each of b problems.
        answers: Zeros and ones.

    Returns:
        A one for each place in the set, and whether it is the only one.

    Raises:
        ValueError: If there are fewer strings than places.
    """
    rows = torch.cat([strings, answers[..., None]], dim=2) > 0  # [b, m, n + 1]
    problems, count, places = torch.arange(len(rows)), rows.shape[1], rows.shape[2] - 1
    if count < places:
        raise ValueError(f"expected at least {places} strings, as many as places, got {count}")
    unique = torch.ones(len(rows), dtype=torch.bool)
    for place in range(places):
        pivot = place + rows[:, place:, place].byte().argmax(dim=1)
        first, other = rows[problems, place].clone(), rows[problems, pivot]
        rows[problems, pivot], rows[:, place] = first, other
        unique &= rows[:, place, place]
        others = rows[:, :, place].clone()
        others[:, place] = False
        rows ^= others[..., None] & rows[:, place, None]
    return rows[:, :places, places].long(), unique
