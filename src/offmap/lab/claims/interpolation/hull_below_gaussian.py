"""Fewer real pictures are inside the hull of others than Gaussian points would be."""

from collections.abc import Mapping

import torch

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.interpolation.pictures import components, sets
from offmap.lab.data import Images
from offmap.numerics.hull import inside_probability, membership

SIZES = {"digits": (1400, 397), "mnist": (60_000, 1000)}


@claim(
    says="In their first principal components, 4 to 12 of them, fewer test pictures are inside the "
    "hull of the training pictures than of as many Gaussian points in as many dimensions.",
    effect="The largest ratio of the share inside to the exact Gaussian law, over numbers of "
    "components and sets of pictures",
    below=1.0,
    scales={
        "smoke": {"dimensions": (4, 8, 12), "examples": 60},
        "desk": {"dimensions": (4, 6, 8, 10, 12), "examples": 1000},
        "full": {"dimensions": (4, 6, 8, 10, 12), "examples": 1000},
    },
    seconds={"smoke": 0.3, "desk": 25.0, "full": 25.0},
    paper=Paper("Balestriero, Pesenti & LeCun 2021", "https://arxiv.org/abs/2110.09485"),
    data={"desk": ("mnist",), "full": ("mnist",)},
)
def hull_below_gaussian(
    *,
    dimensions: tuple[int, ...],
    examples: int,
    data: Mapping[str, Images],
    generator: torch.Generator,
) -> Trial:
    """Pictures are divided at random; the components are those of the training pictures alone.

    scikit-learn's digits (1,400 to train on), and at larger scales MNIST (60,000). Data of light
    tails fills its hull less than a Gaussian does (`hull_tails`): pixels are bounded, and classes
    lie apart. The parts have the share in all pixels too.
    """
    parts, ratios, shares = {}, [], {}
    for name, pictures in sets(data, SIZES, generator=generator).items():
        train, test = pictures.train, pictures.test[:examples]
        points, queries = components(train, test, dimensions[-1], generator=generator)
        for d in dimensions:
            share = membership(points[:, :d], queries[:, :d]).inside.double().mean().item()
            law = inside_probability(len(train), d)
            ratios.append(share / law)
            shares.setdefault(name, []).append(share)
            shares.setdefault(f"{name}, Gaussian law", []).append(law)
            parts[f"{name}, {d} components: inside"] = share
        whole = membership(train, test[:200]).inside.double().mean().item()
        parts[f"{name}, all pixels: inside"] = whole
    return Trial(
        max(ratios),
        parts,
        (
            Curve(
                "Test pictures inside the hull of the training pictures", "principal components",
                "share inside", torch.tensor(dimensions, dtype=torch.double),
                {name: torch.tensor(some) for name, some in shares.items()},
            ),
        ),
    )  # fmt: skip
