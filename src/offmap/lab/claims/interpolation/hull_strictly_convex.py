"""On a sphere, or among the corners of a cube, nothing is between anything."""

import torch
from jaxtyping import Float64
from torch import Tensor

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.interpolation.hulls import shares_inside
from offmap.lab.claims.interpolation.laws import corners
from offmap.lab.data import digits
from offmap.lab.worlds import ball, sphere
from offmap.numerics.hull import membership


@claim(
    says="On a sphere (normalized data) and among the corners of a cube (binary data) no fresh "
    "point is inside the hull of others, however many there are, unless it is one of them.",
    effect="The largest share inside: on spheres, among corners, of digits divided by their length",
    below=1e-9,
    scales={
        "smoke": {"count": 1000, "queries": 20, "hulls": 1},
        "desk": {"count": 20_000, "queries": 100, "hulls": 5},
        "full": {"count": 200_000, "queries": 200, "hulls": 10},
    },
    seconds={"smoke": 0.2, "desk": 3.0, "full": 60.0},
    paper=Paper("Balestriero, Pesenti & LeCun 2021", "https://arxiv.org/abs/2110.09485"),
)
def hull_strictly_convex(
    *, count: int, queries: int, hulls: int, generator: torch.Generator
) -> Trial:
    """A tangent plane separates a point of a strictly convex surface from all others.

    Circles, spheres in 3 and 8 dimensions, and corners in 40, where chance repeats none; then
    scikit-learn's digits of unit length: the test set and the hull of the training set. The
    control has the same directions in 3 dimensions and other lengths: a ball.
    """

    def share(law: str, dimension: int) -> float:
        def draw(n: int) -> Float64[Tensor, "n d"]:
            draws = {"sphere": sphere, "corners": corners, "ball": ball}
            return draws[law](n, dimension, generator=generator)

        return shares_inside(draw, count, hulls=hulls, queries=queries).mean().item()

    parts = {f"sphere in {d} dimensions": share("sphere", d) for d in (2, 3, 8)}
    parts["corners of a cube in 40 dimensions"] = share("corners", 40)
    images = digits()
    train, test = (
        torch.nn.functional.normalize(x.flatten(1).double(), dim=1)
        for x in (images.inputs, images.test_inputs)
    )
    rows = torch.randperm(len(test), generator=generator)[: 5 * queries]
    parts["digits of unit length"] = membership(train, test[rows]).inside.double().mean().item()
    effect = max(parts.values())
    return Trial(effect, parts | {"control: a ball in 3 dimensions": share("ball", 3)})
