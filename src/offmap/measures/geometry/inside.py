"""Shares of examples inside the convex hull of others, in a space and in its projections."""

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Float64, Int, Shaped
from torch import Tensor

from offmap.attempt import CannotMeasure, measurable
from offmap.estimate import Estimate, difference, exact, mean, proportion
from offmap.figures import Curve
from offmap.numerics.duplicates import first_equal, row_digests
from offmap.numerics.hull import Membership, inside_probability, membership, samples_needed
from offmap.numerics.hull.span import span_bytes
from offmap.numerics.principal import principal_components
from offmap.reading import Reading
from offmap.table import Table, TensorTable

FITTED = 4096  # training examples that principal components are fitted to
LOOKED_AT = 2000  # training examples that are asked whether they lie on a sphere or a cube
NEEDED = 10  # examples inside, and outside, without which their errors are not compared
MEMORY_SHARE = 2  # a hull may take this part of the budget
MOST = 1000  # dimensions up to which the samples needed are said


class Sides(NamedTuple):
    """Which examples lie inside the hull of train in a space of `dimension` dimensions."""

    dimension: int
    inside: Bool[Tensor, " m"]
    reference: float  # the share that would be inside, were the data Gaussian


def sampled(n: int, examples: int, generator: torch.Generator) -> Int[Tensor, " m"]:
    """At most `examples` of `n` rows, drawn at random, in order.

    Raises:
        ValueError: If none are asked for.
    """
    if examples < 1:
        raise ValueError(f"expected examples >= 1, got {examples}")
    return torch.randperm(n, generator=generator)[:examples].sort().values


def hull_budget(count: int, dimension: int, memory: int) -> int:
    """Bytes that a hull may take.

    Raises:
        CannotMeasure: If they are too few for so many points of so many numbers.
    """
    budget, needed = memory // MEMORY_SHARE, 2**20 + span_bytes(count, dimension)
    if needed > budget:
        raise CannotMeasure(
            f"the hull of {count:,} examples of {dimension:,} numbers takes a memory budget of "
            f"{MEMORY_SHARE * needed / 2**30:.1f} GiB, more than the {memory / 2**30:.1f} allowed"
        )
    return budget


def decided(
    points: Shaped[Tensor, "n ..."] | Table,
    queries: Shaped[Tensor, "m ..."],
    memory: int,
    *,
    gap: float | None = None,
) -> Membership:
    """On which side of the hull of the points each query lies; see `numerics.hull.membership`.

    Raises:
        CannotMeasure: If rounding leaves one undecided.
    """
    return measurable(
        lambda: membership(points, queries, memory=memory, gap=gap),
        ArithmeticError,
        "the hull is undecided",
    )


def gaussian_reference(count: int, rank: int) -> float:
    """The share of fresh Gaussian points inside the hull of `count`, which span `rank` dimensions.

    As many dimensions as points can span: there may be more, and a fresh point is off their flat.
    """
    return inside_probability(count, rank) if count > rank + 1 else 0.0


def hull_reading(
    name: str,
    n: int,
    rows: Int[Tensor, " m"],
    queries: Shaped[Tensor, "m ..."],
    train: Table,
    error: Float[Tensor, " n"] | None,
    *,
    dimensions: Sequence[int],
    memory: int,
    generator: torch.Generator,
) -> Reading:
    """Share inside the hull of train, in the whole space and in principal components of train.

    `per_example` is the largest number of dimensions, of those looked at, in which an example is
    inside: 0 where it is in none. NaN for copies, and for examples that were not drawn.

    Args:
        name: Of the split.
        n: Its examples.
        rows: Which of them are looked at.
        queries: These, in the space.
        train: All training examples, in the space.
        error: Of each example of the split, where there are predictions.
        dimensions: How many principal components, increasing.
        memory: Bytes that may be held.
        generator: Source of every draw.

    Raises:
        ValueError: If the dimensions are not positive and increasing.
        CannotMeasure: If train is a single point, or every example equals a training example.
    """
    if not dimensions or list(dimensions) != sorted({*dimensions}) or dimensions[0] < 1:
        raise ValueError(f"expected positive, increasing dimensions, got {tuple(dimensions)}")
    copy, distinct = _copies(train, queries)
    spaces = _spaces(train, queries, distinct, dimensions, memory, generator)
    whole = spaces[-1]
    if not whole.dimension:
        raise CannotMeasure("all training examples are equal: their hull is a point")
    if bool(copy.all()):
        raise CannotMeasure(f"each of {len(copy)} examples looked at equals a training example")
    shares = [proportion(int(s.inside[~copy].sum()), int((~copy).sum())) for s in spaces]
    parts = {"equal to a training example": proportion(int(copy.sum()), len(copy))}
    for space, share in zip(spaces[:-1], shares, strict=False):
        parts[f"inside, {space.dimension} components"] = share
        parts[f"Gaussian data, {space.dimension} components"] = exact(space.reference, distinct)
    parts["dimensions that train spans"] = exact(whole.dimension, len(train))
    if error is not None:
        parts |= _errors(spaces, ~copy, error[rows.to(error.device)].cpu())
    column = torch.full((n,), torch.nan, dtype=torch.double)
    column[rows] = _depth(spaces).masked_fill(copy, torch.nan)
    return Reading(
        shares[-1],
        null=exact(whole.reference, distinct),
        parts=parts,
        per_example=column,
        figures=(_curve(name, spaces, shares),),
        notes=(*_law(whole, distinct), *special_shape(train, generator)),
    )


def _copies(train: Table, queries: Shaped[Tensor, "m ..."]) -> tuple[Bool[Tensor, " m"], int]:
    """Which queries equal a training example, and how many training examples are distinct."""
    dtype = torch.promote_types(train.dtype, queries.dtype)
    tables = (train.chunks(), TensorTable(queries).chunks())
    first = first_equal(torch.cat([row_digests(chunks, dtype) for chunks in tables]))
    return first[len(train) :] < len(train), len(first[: len(train)].unique())


def _spaces(
    train: Table,
    queries: Shaped[Tensor, "m ..."],
    distinct: int,
    dimensions: Sequence[int],
    memory: int,
    generator: torch.Generator,
) -> list[Sides]:
    """Principal components of train, few to many, and at last the space itself."""
    budget = hull_budget(len(train), prod(train.shape), memory)
    whole = decided(train, queries, budget)
    fewer = [d for d in dimensions if d < whole.rank]
    found = []
    if fewer:
        some = train.take(sampled(len(train), FITTED, generator))
        components = principal_components(some.flatten(1), fewer[-1], generator=generator)
        points, here = components.project(train), components.project(queries)
        for d in [d for d in fewer if d <= points.shape[1]]:
            part = decided(points[:, :d], here[:, :d], budget)
            reference = gaussian_reference(distinct, part.rank)
            found.append(Sides(d, part.inside.cpu(), reference))
    reference = gaussian_reference(distinct, whole.rank)
    return [*found, Sides(whole.rank, whole.inside.cpu(), reference)]


def _depth(spaces: Sequence[Sides]) -> Float64[Tensor, " m"]:
    """The most dimensions in which each example is inside, 0 if in none."""
    return torch.stack([s.inside.double() * s.dimension for s in spaces]).amax(dim=0)


def _errors(
    spaces: Sequence[Sides], fresh: Bool[Tensor, " m"], error: Float[Tensor, " m"]
) -> dict[str, Estimate]:
    """Mean error inside and outside, in the space that divides the examples most evenly."""
    inside = [space.inside[fresh] for space in spaces]
    counts = [min(int(side.sum()), int((~side).sum())) for side in inside]
    best = max(range(len(spaces)), key=lambda i: counts[i])
    if counts[best] < NEEDED:
        return {}
    of = f"{spaces[best].dimension} components" if best < len(spaces) - 1 else "all dimensions"
    within, beyond = (mean(error[fresh][side]) for side in (inside[best], ~inside[best]))
    return {
        f"error inside, {of}": within,
        f"error outside, {of}": beyond,
        f"error outside minus inside, {of}": difference(beyond, within),
    }


def _curve(name: str, spaces: Sequence[Sides], shares: Sequence[Estimate]) -> Curve:
    """Share inside by dimension, beside that of Gaussian data."""

    def column(values: list[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.double)

    return Curve(
        "Inside the convex hull of train, by dimension",
        "principal components (last: all dimensions)",
        "share inside",
        column([float(space.dimension) for space in spaces]),
        {
            name: column([share.value for share in shares]),
            "Gaussian data": column([space.reference for space in spaces]),
        },
        low={name: column([share.low for share in shares])},
        high={name: column([share.high for share in shares])},
        log_x=True,
    )


def _law(whole: Sides, distinct: int) -> tuple[str, ...]:
    """What the law of large dimensions says of data like these."""
    if whole.dimension > MOST:
        return ()
    needed = samples_needed(whole.dimension)
    count = f"{needed:,}" if needed < 10**12 else f"{needed:.1e}"
    return (
        f"Of Gaussian data in {whole.dimension} dimensions, half of the fresh examples lie inside "
        f"the hull of {count} others; train has {distinct:,} different ones.",
    )


def special_shape(train: Table, generator: torch.Generator) -> tuple[str, ...]:
    """A note where train lies on a sphere, or at the corners of a box: nothing new is inside."""
    rows = train.take(sampled(len(train), LOOKED_AT, generator)).flatten(1).double()
    low, high = rows.amin(dim=0), rows.amax(dim=0)
    length = rows.norm(dim=1)
    shapes = {
        "on a sphere around 0 (are they normalized?)": length.std() < 1e-4 * length.mean(),
        "at the corners of a box (are they binary?)": ((rows == low) | (rows == high)).all(),
    }
    return tuple(
        f"All of {len(rows):,} training examples lie {shape}: whatever the number of examples, a "
        "new one there is outside the hull of the others, so this share means nothing here."
        for shape, found in shapes.items()
        if len(rows) > 2 and int((high > low).sum()) > 1 and bool(found)
    )
