"""Descent within a ball, by the automatic step sizes of APGD."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Objective = Callable[[Tensor], tuple[Tensor, Tensor]]

MOMENTUM = 0.75  # part of a step that is new; the rest repeats the last one
FIRST_CHECK, LEAST_CHECK, SHORTER = 0.22, 0.06, 0.03  # when the step size is reviewed
ENOUGH = 0.75  # share of steps that must improve for it to stay
SLACK = 1e-6  # what rounding may add to the radius


@dataclass(frozen=True, slots=True, eq=False)
class Ball:
    """Where points may go: near their centers, and within the domain.

    Args:
        center: [n ...].
        radius: Largest distance from it.
        norm: What distance is: `linf`, of the number that changes most, or `l2`, Euclidean.
        low: Least that a number may be; None: anything.
        high: Most that it may be.
    """

    center: Float[Tensor, "n ..."]
    radius: float
    norm: str
    low: float | None
    high: float | None

    def take(self, rows: Int[Tensor, " m"]) -> "Ball":
        """The balls of some of the centers."""
        return Ball(self.center[rows], self.radius, self.norm, self.low, self.high)

    def distance(self, points: Float[Tensor, "n ..."]) -> Float[Tensor, " n"]:
        """From each point to its center."""
        moved = (points - self.center).flatten(1).double()
        return moved.abs().amax(dim=1) if self.norm == "linf" else moved.norm(dim=1)

    def project(self, points: Float[Tensor, "n ..."]) -> Float[Tensor, "n ..."]:
        """Points within the ball and the domain: for l2 near to the closest such, not the closest.

        The domain comes last: it is a box that holds the center, so clamping to it brings nothing
        farther from there.
        """
        moved = points - self.center
        if self.norm == "linf":
            moved = moved.clamp(-self.radius, self.radius)
        else:
            length = _rows(moved.flatten(1).norm(dim=1), moved)
            moved = moved * (self.radius / length.clamp_min(self.radius))
        points = self.center + moved
        if self.low is None and self.high is None:
            return points
        return points.clamp(self.low, self.high)

    def holds(self, points: Float[Tensor, "n ..."]) -> Bool[Tensor, " n"]:
        """Whether each point lies in its ball, rounding apart, and in the domain."""
        flat, center = points.flatten(1), self.center.flatten(1)
        rounding = SLACK * (self.radius + center.abs().amax(dim=1).double())
        kept = self.distance(points) <= self.radius + rounding
        if self.low is not None:
            kept &= (flat >= self.low).all(dim=1)
        if self.high is not None:
            kept &= (flat <= self.high).all(dim=1)
        return kept

    def downhill(self, gradient: Float[Tensor, "n ..."]) -> Float[Tensor, "n ..."]:
        """The step of length one that descends fastest; none where the gradient is zero."""
        if self.norm == "linf":
            return -gradient.sign()
        return -gradient / _rows(gradient.flatten(1).norm(dim=1).clamp_min(1e-30), gradient)

    def draw(self, generator: torch.Generator) -> Float[Tensor, "n ..."]:
        """A random point of each: uniform in the box, or a random direction to the sphere."""
        shape, like = self.center.shape, self.center
        if self.norm == "linf":
            moved = 2 * torch.rand(shape, generator=generator) - 1
        else:
            moved = torch.randn(shape, generator=generator)
            moved = moved / _rows(moved.flatten(1).norm(dim=1), moved)
        return self.project(like + self.radius * moved.to(like))


def _rows(values: Tensor, like: Tensor) -> Tensor:
    return values.to(like.dtype).view(-1, *[1] * (like.ndim - 1))


def descend(
    objective: Objective, start: Float[Tensor, "n ..."], ball: Ball, *, steps: int
) -> tuple[Float[Tensor, "n ..."], Float[Tensor, " n"]]:
    """The lowest point found from each start, and the objective there. Rows do not meet.

    Steps with momentum, as long as the ball is wide at first; where too few of them improve, a row
    goes back to its best point and halves its steps.

    Args:
        objective: (points) -> value [n] and gradient [n ...]. A row whose value is -inf is done.
        start: Where to begin; projected into the ball.
        ball: Where to stay.
        steps: How many, at most.

    Source: Croce and Hein (2020), https://arxiv.org/abs/2003.01690, algorithm 1.
    """
    point = ball.project(start)
    before = best = point
    value, gradient = objective(point)
    least, slope = value, gradient
    size = torch.full_like(value, 2 * ball.radius)
    improved, at_check, kept_size = torch.zeros_like(value), value, torch.zeros_like(value).bool()
    check, interval = FIRST_CHECK, FIRST_CHECK
    last_check = 0
    for step in range(1, steps + 1):
        if bool((least == -torch.inf).all()):
            break
        ahead = ball.project(point + _rows(size, point) * ball.downhill(gradient))
        if step > 1:
            ahead = ball.project(
                point + MOMENTUM * (ahead - point) + (1 - MOMENTUM) * (point - before)
            )
        before, point = point, ahead
        now, gradient = objective(point)
        improved += now < value
        value, better = now, now < least
        shown = _rows(better.float(), point) > 0
        best, slope = torch.where(shown, point, best), torch.where(shown, gradient, slope)
        least = torch.where(better, now, least)
        if step < check * steps:
            continue
        halve = (improved < ENOUGH * (step - last_check)) | (kept_size & (least >= at_check))
        size = torch.where(halve, size / 2, size)
        back = _rows(halve.float(), point) > 0
        point, gradient = torch.where(back, best, point), torch.where(back, slope, gradient)
        before = torch.where(back, best, before)
        value = torch.where(halve, least, value)
        kept_size, at_check, last_check = ~halve, least, step
        improved = torch.zeros_like(improved)
        interval = max(interval - SHORTER, LEAST_CHECK)
        check += interval
    return best, least
