"""Directions that data never take: gradients never have a component there either.

A linear layer z = W x + b has the gradient sum_i delta_i (x_i, 1)' in (W, b). So the part of (W, b)
that is orthogonal to every (x_i, 1) is the same after gradient descent as before it, with momentum
or without, and only shrinks under weight decay. Inputs meet that part where they leave the affine
hull of the x_i (without a bias: their linear span).

The hull is found from the second moment about the center, in float64, rows read once. A direction
is unseen if the singular value of the data along it is below `tolerance` times the largest: in
single precision, what is smaller is rounding.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int64, Shaped
from torch import Tensor

__all__ = [
    "Moments", "Span", "alone", "energies", "faint", "frozen", "outside", "span_of", "trained",
]  # fmt: skip

ENOUGH = 4  # rows for each direction, from where on one looks whether all have been seen
UNIQUE = 1e-4  # a row whose leverage is this close to one is the only one in its direction
STEPS = 50  # of the power method


@dataclass(frozen=True, slots=True, eq=False)
class Span:
    """The affine hull, or the linear span, of some rows.

    Args:
        center: A point of it: the mean, or the origin.
        affine: Whether it may miss the origin.
        rows: How many were read.
        flat: Coordinates in which no row differs from the center.
        unseen: The other directions orthogonal to it, orthonormal, zero on the flat coordinates.
        moment: Mean of (x - center) (x - center)'; None if coordinates alone were looked at.
        variance: Mean of |x - center|^2.
        tolerance: As asked for.
        least: What the moment must exceed along a direction for it to count as seen.
    """

    center: Float64[Tensor, " d"]
    affine: bool
    rows: int
    flat: Int64[Tensor, " f"]
    unseen: Float64[Tensor, "d k"]
    moment: Float64[Tensor, "d d"] | None
    variance: float
    tolerance: float
    least: float

    @property
    def codimension(self) -> int:
        """How many directions are unseen."""
        return len(self.flat) + self.unseen.shape[1]

    def along(self, rows: Shaped[Tensor, "m d"]) -> Float64[Tensor, "m c"]:
        """Components along the unseen directions, the flat ones first."""
        rows = rows.double()
        return torch.cat([rows[:, self.flat], rows @ self.unseen], dim=1)

    def lifted(self, components: Float64[Tensor, "m c"]) -> Float64[Tensor, "m d"]:
        """The inverse: a vector from its components along the unseen directions."""
        flat, other = components.tensor_split([len(self.flat)], dim=1)
        vectors = other @ self.unseen.T
        vectors[:, self.flat] = flat
        return vectors


def span_of(
    chunks: Iterable[Shaped[Tensor, "_ d"]],
    *,
    affine: bool = True,
    tolerance: float = 1e-6,
    largest: int = 4096,
) -> Span:
    """The hull of the rows of all chunks, on the CPU.

    Reading stops as soon as all directions have been seen, so rows should come in random order.

    Args:
        chunks: The rows, some at a time.
        affine: The affine hull; otherwise the linear span.
        tolerance: Of singular values, relative to the largest of the rows as given.
        largest: Most dimensions in which directions are sought, for d^2 numbers are kept; beyond,
            coordinates alone are looked at.

    Raises:
        ValueError: If there are no rows, or the tolerance is not between 0 and 1.
    """
    if not 0 < tolerance < 1:
        raise ValueError(f"expected 0 < tolerance < 1, got {tolerance}")
    moments: Moments | None = None
    check = 0
    for chunk in chunks:
        d = chunk.shape[1]
        if moments is None:
            moments = Moments(d, affine=affine, directions=d <= largest)
            check = ENOUGH * d
        moments.add(chunk)
        if moments.count >= check:
            if moments.fills(tolerance):
                break
            check = 2 * moments.count
    if moments is None:
        raise ValueError("expected rows, got none")
    return moments.span(tolerance)


class Moments:
    """Sums over rows that come some at a time, from which their span is found.

    They are taken about the first row (of a linear span, about the origin): amid the data, sums
    cancel least.

    Args:
        dimension: Length of a row.
        affine: The affine hull; otherwise the linear span.
        directions: Whether to keep the d^2 sums of products, without which only coordinates count.
    """

    def __init__(self, dimension: int, *, affine: bool = True, directions: bool = True) -> None:
        zero = torch.zeros(dimension, dtype=torch.float64)
        self.affine, self.count, self.square = affine, 0, 0.0
        self.about, self.total, self.low, self.high = zero, zero, zero, zero
        self.product = zero.new_zeros(dimension, dimension) if directions else None

    def add(self, rows: Shaped[Tensor, "m d"]) -> None:
        """Take rows into account."""
        if not len(rows):
            return
        rows = rows.detach().cpu().double()
        if self.affine and not self.count:
            self.about = rows[0].clone()
        rows = rows - self.about
        self.count += len(rows)
        self.total = self.total + rows.sum(dim=0)
        self.square += rows.square().sum().item()
        self.low = torch.minimum(self.low, rows.amin(dim=0))
        self.high = torch.maximum(self.high, rows.amax(dim=0))
        if self.product is not None:
            self.product.addmm_(rows.T, rows)

    @property
    def flat(self) -> Int64[Tensor, " f"]:
        """Coordinates in which no row differs from the point about which sums are taken."""
        return ((self.low == 0) & (self.high == 0)).nonzero().flatten()

    @property
    def offset(self) -> Float64[Tensor, " d"]:
        """From that point to the center."""
        return self.total / self.count if self.affine else torch.zeros_like(self.total)

    @property
    def moment(self) -> Float64[Tensor, "d d"] | None:
        """Mean of the products about the center."""
        if self.product is None:
            return None
        return (self.product / self.count).addr_(self.offset, self.offset, alpha=-1)

    def least(self, tolerance: float) -> float:
        """The squared tolerance, in the largest mean square along a direction from the origin."""
        center = (self.about + self.offset).square().sum().item()
        moment = self.moment
        if moment is None:
            return tolerance**2 * (self.square / self.count + center)
        vector = moment[moment.diagonal().argmax()]
        for _ in range(STEPS):
            vector = moment @ (vector / vector.norm().clamp_min(torch.finfo(vector.dtype).tiny))
        return tolerance**2 * (vector.norm().item() + center)

    def fills(self, tolerance: float) -> bool:
        """Whether the rows take all directions."""
        moment = self.moment
        return moment is not None and not len(self.flat) and _exceeds(moment, self.least(tolerance))

    def span(self, tolerance: float) -> Span:
        """The span of the rows so far.

        Raises:
            ValueError: If there are none.
        """
        if not self.count:
            raise ValueError("expected rows, got none")
        flat, least, moment, d = self.flat, self.least(tolerance), self.moment, len(self.about)
        unseen = torch.zeros(d, 0, dtype=torch.float64)
        live = torch.ones(d, dtype=torch.bool).index_fill_(0, flat, False).nonzero().flatten()
        if moment is not None and not _exceeds(moment[live[:, None], live], least):
            values, vectors = torch.linalg.eigh(moment[live[:, None], live])
            unseen = torch.zeros(d, int((values <= least).sum()), dtype=torch.float64)
            unseen[live] = vectors[:, values <= least]
        return Span(
            center=self.about + self.offset,
            affine=self.affine,
            rows=self.count,
            flat=flat,
            unseen=unseen,
            moment=moment,
            variance=max(0.0, self.square / self.count - self.offset.square().sum().item()),
            tolerance=tolerance,
            least=least,
        )


def _exceeds(matrix: Float64[Tensor, "d d"], least: float) -> bool:
    """Whether all eigenvalues do."""
    shifted = matrix - least * torch.eye(len(matrix), dtype=matrix.dtype)
    return int(torch.linalg.cholesky_ex(shifted).info) == 0


# ------------------------------------------------------------------------------------------- rows


def energies(
    span: Span, rows: Shaped[Tensor, "m d"]
) -> tuple[Float64[Tensor, " m"], Float64[Tensor, " m"]]:
    """Of |x - center|^2 what lies in unseen directions, 0 below the tolerance, and all of it."""
    rows = rows.detach().cpu().double()
    away = rows - span.center
    off = span.along(away).square().sum(dim=1)
    rounding = span.tolerance**2 * rows.square().sum(dim=1)
    return off.where(off > rounding, 0.0), away.square().sum(dim=1)


def outside(span: Span, rows: Shaped[Tensor, "m d"]) -> Float64[Tensor, " m"]:
    """Share of |x - center|^2 that lies in unseen directions; 0 at the center."""
    off, whole = energies(span, rows)
    return _share(off, whole)


def faint(
    span: Span, vectors: Shaped[Tensor, "m d"], *, level: float = 1e-3
) -> Float64[Tensor, " m"]:
    r"""Share of the square of vectors, such as x - center, in directions that the rows barely take.

    A principal direction of the rows with mean square s counts as t / (t + s), where t is `level`
    times the mean square along an average direction: one with a thousandth of that counts half.

    Raises:
        ValueError: If the level is not positive, or the span knows coordinates alone.
    """
    if level <= 0:
        raise ValueError(f"expected level > 0, got {level}")
    vectors = vectors.detach().cpu().double()
    ridge = level * span.variance / len(span.center)
    if ridge == 0:
        return (vectors != 0).any(dim=1).double()
    return _share(
        ridge * (vectors * _solved(span, vectors, ridge)).sum(dim=1), vectors.square().sum(1)
    )


def alone(span: Span, rows: Shaped[Tensor, "m d"]) -> Float64[Tensor, " m"]:
    """For rows of the span: the share outside the hull of all the others.

    A row lies outside of it if its leverage is one: then a linear function is one there and zero
    on the others, and the distance from their hull is one over its slope.

    Raises:
        ValueError: If the span knows coordinates alone.
    """
    away = rows.detach().cpu().double() - span.center
    if span.least == 0:
        return torch.zeros(len(rows), dtype=torch.float64)
    slope = _solved(span, away, span.least) / span.rows
    leverage = (away * slope).sum(dim=1) + (1 / span.rows if span.affine else 0.0)
    gap = slope.square().sum(dim=1).reciprocal()
    if span.affine:  # the center of the others is farther away
        away = away * (span.rows / max(1, span.rows - 1))
    return _share(gap.where(leverage > 1 - UNIQUE, 0.0), away.square().sum(dim=1))


def _solved(span: Span, away: Float64[Tensor, "m d"], ridge: float) -> Float64[Tensor, "m d"]:
    """(moment + ridge)^-1 (x - center) for each row.

    Raises:
        ValueError: If the span has no moment.
    """
    if span.moment is None:
        raise ValueError("expected a span with its second moment: raise `largest`")
    shifted = span.moment + ridge * torch.eye(len(span.center), dtype=torch.float64)
    return torch.cholesky_solve(away.T, torch.linalg.cholesky(shifted)).T


def _share(part: Float64[Tensor, " m"], whole: Float64[Tensor, " m"]) -> Float64[Tensor, " m"]:
    return (part / whole).where(whole > 0, 0.0).clamp(0, 1)


# ---------------------------------------------------------------------------------------- weights


def frozen(
    span: Span, weight: Float[Tensor, "o d"], bias: Float[Tensor, " o"] | None = None
) -> tuple[Float64[Tensor, "o d"], Float64[Tensor, " o"] | None]:
    """The part of a linear layer that gradients of the span's rows never move: weight and bias.

    Orthogonal to all (x, 1), or to all x of a linear span, where the layer must have no bias.

    Raises:
        ValueError: If there is a bias and the span is linear, or none and it is affine.
    """
    if span.affine != (bias is not None):
        given, kind = ("no bias", "affine") if span.affine else ("a bias", "linear")
        raise ValueError(f"expected a bias if and only if the span is affine, got {given}, {kind}")
    inner = span.along(weight.detach().cpu())
    if bias is None:
        return span.lifted(inner), None
    # The unseen directions v give orthogonal (v, -v.center), whose Gram matrix is I + a a'.
    a = span.along(span.center[None])[0]
    inner = inner - bias.detach().cpu().double()[:, None] * a
    inner -= (inner @ a)[:, None] * a / (1 + a.square().sum())
    return span.lifted(inner), -(inner @ a)


def trained(
    span: Span, weight: Float[Tensor, "o d"], bias: Float[Tensor, " o"] | None = None
) -> tuple[Float[Tensor, "o d"], Float[Tensor, " o"] | None]:
    """The layer without its frozen part: it answers the same on every row of the span.

    Raises:
        ValueError: As `frozen`.
    """
    still, still_bias = frozen(span, weight, bias)
    less = (weight.detach().double() - still.to(weight.device)).to(weight.dtype)
    if bias is None or still_bias is None:
        return less, None
    return less, (bias.detach().double() - still_bias.to(bias.device)).to(bias.dtype)
