"""How far an input is off the sheets on which training inputs lie, by local tangent planes."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Float64, Int64, Shaped
from torch import Tensor
from torch.nn import functional

from offmap.attempt import InputError
from offmap.measure import Paper
from offmap.numerics.bank import nearest
from offmap.numerics.dimension import maximum_likelihood, neighborhoods
from offmap.numerics.neighbors import search
from offmap.score import Known, score
from offmap.scores.rows import Mapped, bank_of
from offmap.scores.spread import flat, input_spread

SAMPLE = 2000  # rows from which the dimension is estimated
NEEDED = 10  # rows for each of 2^dimension orthants, without which planes mean nothing
FLOOR = 0.01  # of the median radius of a disc: the usual scale, where planes leave nothing
BLOCK_BYTES = 64 * 2**20


class _Discs(NamedTuple):
    """Pieces of tangent planes, one around the neighbors of each row of the bank."""

    centers: Float64[Tensor, "m d"]
    frames: Float64[Tensor, "m d r"]  # orthonormal columns
    radius: Float64[Tensor, " m"]
    scale: Float64[Tensor, " m"]  # usual distance from the plane: there and everywhere, by halves


def _fit(
    known: Known,
    *,
    dimension: int | None = None,
    neighbors: int = 20,
    components: int = 64,
    variance: float = 0.99,
    bank: int = 5000,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Main directions of the inputs, and tangent discs in coordinates along them.

    Args:
        known: Where the inputs come from.
        dimension: Of the sheets; None: as estimated from distances to neighbors (Levina and
            Bickel 2004), but no more than the examples suffice for, 10 * 2^dimension.
        neighbors: Training inputs that a plane is laid through, counting the one that it is for.
        components: Most directions to keep.
        variance: Share of the variance with which fewer are enough.
        bank: Most planes; more than neighbors.
        generator: Source of samples, and of the rows that planes are laid for.

    Raises:
        ValueError: If a setting is out of range.
        InputError: If the inputs are too few, or all the same.
    """
    if neighbors < 3:
        raise ValueError(f"expected neighbors >= 3, got {neighbors}")
    if components < 1:
        raise ValueError(f"expected components >= 1, got {components}")
    found = input_spread(known, generator=generator)
    found = found.leading(variance, None)
    mean, axes = found.mean, found.axes[:, :components]
    rows = Mapped(known.inputs, lambda some: _place(some, mean, axes).float())
    kept = bank_of(rows, bank, neighbors, known.memory, generator=generator)
    most = min(int(math.log2(len(rows) / NEEDED)) if len(rows) >= 2 * NEEDED else 0, neighbors - 2)
    if most < 1 or (dimension is not None and not 1 <= dimension <= most):
        raise InputError(
            f"expected a dimension from 1 to {most}, for which {len(rows):,} training examples and "
            f"{neighbors} neighbors suffice, got {dimension}: set a lower one, or add examples"
        )
    wanted = dimension or min(most, _dimension(rows, known.memory, generator))
    near = search(kept.points, rows, k=neighbors, memory=known.memory // 4).index
    discs = _discs(rows, near, min(wanted, axes.shape[1]))
    state = {name: part.float() for name, part in discs._asdict().items()}
    return state | {"mean": mean, "axes": axes}


def _place(
    inputs: Shaped[Tensor, "n ..."], mean: Float64[Tensor, " d"], axes: Float64[Tensor, "d c"]
) -> Float64[Tensor, "n e"]:
    """Coordinates along the directions, and as the last one the distance from their span."""
    apart = flat(inputs) - mean
    along = apart @ axes
    off = apart - along @ axes.T
    return torch.cat((along, torch.linalg.vector_norm(off, dim=1, keepdim=True)), dim=1)


def _dimension(rows: Mapped, memory: int, generator: torch.Generator) -> int:
    """How many dimensions the rows seem to have: what distances to 20 neighbors say.

    Raises:
        InputError: If the rows have none, as copies and coarse lattices.
    """
    chosen = torch.randperm(len(rows), generator=generator)[:SAMPLE].sort().values
    queries = rows.through(rows.table.take(chosen))
    k = min(20, len(rows) - 1)
    found = search(queries, rows, k=k, exclude=chosen, memory=memory // 4)
    try:
        near = neighborhoods(chosen, found.distance, found.index)
    except ValueError as error:
        raise InputError(f"{error}; or set dimension") from error
    return max(1, round(maximum_likelihood(near, k=k).value))


def _discs(rows: Mapped, near: Int64[Tensor, "m k"], dimension: int) -> _Discs:
    """A plane through the mean of each row of neighbors, along which they vary most."""
    d = rows.read(0, 1).shape[1] - 1
    step = max(1, BLOCK_BYTES // (8 * near.shape[1] * (d + 1)))
    parts = []
    for index in near.split(step):
        points = rows.through(rows.table.take(index.flatten())).double()
        along, off = points.view(*index.shape, d + 1).split([d, 1], dim=2)
        center = along.mean(dim=1)
        apart = along - center[:, None]
        frames = torch.linalg.svd(apart, full_matrices=False).Vh[:, :dimension].mT
        inside = apart @ frames
        square = (apart - inside @ frames.mT).square().sum(dim=2) + off.squeeze(2).square()
        radius = inside.square().sum(dim=2).amax(dim=1).sqrt()
        parts.append(_Discs(center, frames, radius, square.mean(dim=1).sqrt()))
    centers, frames, radius, scale = (torch.cat(part) for part in zip(*parts, strict=True))
    around = search(centers, centers, k=min(near.shape[1], len(centers))).index
    usual = torch.maximum(scale.median(), FLOOR * radius.median())
    square = (scale[around].square().mean(dim=1) + usual.square()) / 2
    return _Discs(centers, frames, radius, square.sqrt())


@score(
    fit=_fit,
    says="How far an input is off the sheet on which the training inputs around it lie.",
    caution=(
        "With a dimension that is too high, planes contain directions that lead off the data, and "
        "what lies there looks familiar; where the data have no sheets it is the distance to "
        "blunt pieces of them. The number of examples needed doubles with each dimension."
    ),
    paper=Paper(
        "Fefferman, Mitter and Narayanan (2016), Testing the manifold hypothesis",
        "https://arxiv.org/abs/1310.0425",
    ),
)
def tangent_residual(
    inputs: Shaped[Tensor, "n ..."],
    /,
    mean: Float64[Tensor, " d"],
    axes: Float64[Tensor, "d c"],
    centers: Float[Tensor, "m c"],
    frames: Float[Tensor, "m c r"],
    radius: Float[Tensor, " m"],
    scale: Float[Tensor, " m"],
    *,
    discs: int = 3,
) -> Float64[Tensor, " n"]:
    r"""Distance to the nearest tangent disc, over the usual distance of training inputs from it.

    .. math:: \min_{j} \sqrt{\lVert v - F_j F_j^\top v \rVert^2
        + (\lVert F_j^\top v \rVert - r_j)_+^2} / s_j, \qquad v = x - c_j

    over the discs with the nearest centers c_j, the means of neighboring training inputs. F_j spans
    the plane along which these vary most, r_j is the farthest that one of them is along it, and
    s_j^2 the mean square of what is left of them, curvature and noise, averaged with the square of
    what usually is: from so few neighbors it is known badly.

    Args:
        inputs: The inputs.
        mean: Of training.
        axes: Main directions; what lies across all of them counts as off every plane.
        centers: Of the discs.
        frames: Planes.
        radius: Of the discs.
        scale: Distance from the plane that is usual there.
        discs: How many are looked at.
    """
    place = _place(inputs, mean, axes)
    along, off = place[:, :-1], place[:, -1:]
    _, index = nearest(along, centers, k=min(discs, len(scale)))
    apart = along[:, None] - functional.embedding(index, centers).double()
    frame = frames[index].double()
    inside = (apart[:, :, None] @ frame).squeeze(2)
    across = apart - (frame @ inside[..., None]).squeeze(3)
    beyond = (_length(inside) - radius[index]).clamp_min(0)
    square = across.square().sum(dim=2) + beyond.square() + off.square()
    return (_root(square) / scale[index]).amin(dim=1)


def _length(vectors: Float64[Tensor, "n k r"]) -> Float64[Tensor, "n k"]:
    return _root(vectors.square().sum(dim=2))


def _root(square: Float64[Tensor, "n k"]) -> Float64[Tensor, "n k"]:
    """With no slope at 0."""
    apart = square > 0
    return torch.where(apart, torch.where(apart, square, 1.0).sqrt(), 0.0)
