"""To fit every example, and to lie between examples: all four combinations occur."""

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from offmap.figures import Matrix
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.interpolation.pictures import Drawn, components, drawn
from offmap.lab.data import digits
from offmap.numerics.hull import membership

CLASSES = 10


@claim(
    says="Two things are called interpolation, and neither needs the other: a model that fits all "
    "of its training data or one that does not is asked about points inside their hull or outside.",
    effect="Of the four combinations on scikit-learn's digits, the smallest share of test pictures "
    "that are on the side of the hull that it stands for",
    above=0.9,
    scales={
        "smoke": {"examples": 200, "neighbors": 15},
        "desk": {"examples": 397, "neighbors": 15},
        "full": {"examples": 397, "neighbors": 15},
    },
    seconds={"smoke": 0.1, "desk": 0.3, "full": 0.3},
    paper=Paper("Balestriero, Pesenti & LeCun 2021", "https://arxiv.org/abs/2110.09485"),
)
def two_interpolations(*, examples: int, neighbors: int, generator: torch.Generator) -> Trial:
    """One nearest neighbor fits all training data, the vote of 15 does not; pixels or two of them.

    In two principal components nearly all test pictures are inside the hull of 1,400 others, in
    all 64 pixels none is. Errors follow neither kind of interpolation: the exact fit inside the
    hull is the worst of the four, the exact fit outside the best or next to it.
    """
    pictures = drawn(digits(), 1400, examples, generator=generator)
    flat = components(pictures.train, pictures.test, 2, generator=generator)
    spaces = {"2 components": flat, "64 pixels": (pictures.train.double(), pictures.test.double())}
    shares, parts, errors = [], {}, []
    for place, (points, queries) in spaces.items():
        inside = membership(points, queries).inside.double().mean().item()
        right_side = inside if place == "2 components" else 1 - inside
        parts[f"{place}: inside the hull"] = inside
        for k in (1, neighbors):
            train, test = _errors(pictures, points, queries, k)
            name = f"{place}, {k} neighbors"
            parts |= {f"{name}: training error": train, f"{name}: test error": test}
            errors.append(test)
            exact = k == 1  # what the combination stands for
            shares.append(right_side if (train == 0) == exact else 0.0)
    return Trial(
        min(shares),
        parts,
        (
            Matrix(
                "Test error", "the model", "the test pictures",
                ("fits exactly (1 neighbor)", f"does not ({neighbors} neighbors)"),
                ("inside the hull (2 components)", "outside the hull (64 pixels)"),
                torch.tensor(errors, dtype=torch.double).view(2, 2),
            ),
        ),
    )  # fmt: skip


def _errors(
    pictures: Drawn, points: Float64[Tensor, "n d"], queries: Float64[Tensor, "m d"], k: int
) -> tuple[float, float]:
    """Share of mistakes among training and test pictures."""

    def missed(rows: Tensor, targets: Tensor) -> Bool[Tensor, " b"]:
        near = torch.cdist(rows, points).topk(k, largest=False).indices
        votes = torch.nn.functional.one_hot(pictures.targets[near], CLASSES).sum(dim=1)
        return votes.argmax(dim=1) != targets

    train = missed(points, pictures.targets).double().mean().item()
    return train, missed(queries, pictures.test_targets).double().mean().item()
