"""Printed numbers are isolated points, with no dimension: the gap never closes."""

import torch
from jaxtyping import Float
from torch import Tensor

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.worlds import printed_digits
from offmap.numerics.neighbors import search


@claim(
    says="Pictures of printed numbers are isolated points: the nearest two of all 10^m are as far "
    "apart as the two most alike digits, for every m, so the set has no dimension above 0.",
    effect="largest relative difference between the smallest distance of two numbers and of digits",
    below=1e-9,
    scales={
        "smoke": {"places": (1, 2, 3), "sampled": 1000},
        "desk": {"places": (1, 2, 3, 4), "sampled": 4000},
        "full": {"places": (1, 2, 3, 4, 5), "sampled": 20000},
    },
    seconds={"smoke": 0.1, "desk": 1.5, "full": 100.0},
    paper=Paper("Facco et al. 2017", "https://doi.org/10.1038/s41598-017-11873-y"),
)
def printed_numbers_are_points(
    *, places: tuple[int, ...], sampled: int, generator: torch.Generator
) -> Trial:
    """All numbers of m digits, the nearest other of each by offmap's search, exactly.

    Two numbers differ in a digit at least, and in just one where they are nearest. Parts: how
    many are equally far from their first two neighbors, where TwoNN has no ratio to take. Above
    5 % offmap refuses to read a dimension. A random sample of longer numbers has ties as well.
    """
    alphabet = printed_digits(torch.arange(10), 1)
    apart = (alphabet[:, None] - alphabet[None]).flatten(2).norm(dim=2)
    least = apart[apart > 0].min().item()
    off, parts, nearest = [], {"distance of the two most alike digits": least}, []
    for m in places:
        distance = _two_nearest(printed_digits(torch.arange(10**m), m))
        nearest.append(distance[:, 0].min().item())
        off.append(abs(nearest[-1] / least - 1))
        parts[f"{m} digits: share equally far from their first two"] = _ties(distance)
    few = torch.randperm(10**6, generator=generator)[:sampled]
    parts[f"{sampled} of 6 digits: share equally far"] = _ties(_two_nearest(printed_digits(few, 6)))
    figure = Curve(
        "The gap around a printed number", "digits", "distance to the nearest number",
        torch.tensor(places).double(), {"smallest": torch.tensor(nearest).double()},
    )  # fmt: skip
    return Trial(max(off), parts, (figure,))


def _two_nearest(pictures: Float[Tensor, "n h w"]) -> Float[Tensor, "n 2"]:
    return search(pictures, pictures, k=2, exclude=torch.arange(len(pictures))).distance


def _ties(distance: Float[Tensor, "n 2"]) -> float:
    return (distance[:, 0] == distance[:, 1]).double().mean().item()
