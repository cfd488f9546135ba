"""An attacker who knows the guard: what it wants of a point, and how it looks for one."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from offmap.attempt import InputError
from offmap.guard.descent import Ball, descend
from offmap.guard.guard import Guard
from offmap.guard.ruler import Ruler
from offmap.guard.verdict import Verdict
from offmap.numerics.corners import threshold
from offmap.score import Seen

SPREAD = (0.1, 0.9)  # quantiles of the calibration scores, one unit of score apart
MARGIN = 1e-3  # how far beyond a boundary the attacker aims, in its unit
WIDEST = 1e3  # the weight of the guard is sought between this and its inverse


@dataclass(frozen=True, eq=False)
class Pursuit:
    """Inputs under attack.

    Args:
        guard: In evaluation mode, with gradients on.
        ball: Where points may go.
        true: The classes that answers must not be [n]; None: the attacker wants no more than to be
            accepted.
        steps: Of each descent.
    """

    guard: Guard
    ball: Ball
    true: Int[Tensor, " n"] | None
    steps: int

    def asked(self, points: Float[Tensor, "n ..."]) -> tuple[Verdict, Bool[Tensor, " n"]]:
        """What the guard says, and whether its answer is what the attacker wants."""
        with torch.no_grad():
            verdict = self.guard(points)
        if self.true is None:
            return verdict, torch.ones_like(verdict.accepted)
        return verdict, verdict.prediction != self.true

    def succeeds(self, points: Float[Tensor, "n ..."]) -> Bool[Tensor, " n"]:
        """Whether the guard accepts a point where the attacker may go, with the answer it wants."""
        verdict, wanted = self.asked(points)
        return wanted & verdict.accepted & self.ball.holds(points)

    def blindly(
        self, restarts: int, generator: torch.Generator
    ) -> tuple[Float[Tensor, "n ..."], Bool[Tensor, " n"]]:
        """The attack on the network alone: where it ends, and whether the answer is wrong there.

        Inputs that are answered wrongly stay as they are.
        """
        points = self.ball.center.clone()
        reached = self.asked(points)[1]
        for number in range(restarts):
            rows = (~reached).nonzero().flatten()
            if not len(rows):
                break
            ball = self.ball.take(rows)
            start = ball.draw(generator) if number else ball.center
            points[rows], _ = descend(
                lambda x, rows=rows: self._gap_alone(x, rows), start, ball, steps=self.steps
            )
            reached = self.asked(points)[1] & self.ball.holds(points)
        return points, reached

    def run(
        self,
        points: Float[Tensor, "n ..."],
        done: Bool[Tensor, " n"],
        starts: Iterable[Float[Tensor, "n ..."]],
        restarts: int,
    ) -> tuple[Float[Tensor, "n ..."], Bool[Tensor, " n"]]:
        """The attack on network and guard together.

        Args:
            points: What has been found so far.
            done: Where that is a success.
            starts: Where to begin each restart.
            restarts: How many of them.

        Returns:
            Points, and whether each is a success.
        """
        points, done = points.clone(), done.clone()
        weight = torch.ones(len(points), dtype=torch.double, device=points.device)
        least, most = weight / WIDEST, weight * WIDEST
        for start in islice(starts, restarts):
            rows = (~done).nonzero().flatten()
            if not len(rows):
                break
            found, _ = descend(
                lambda x, rows=rows, weight=weight: self._objective(x, rows, weight[rows]),
                start[rows],
                self.ball.take(rows),
                steps=self.steps,
            )
            points[rows] = found
            verdict, wanted = self.asked(points)
            done = done | (wanted & verdict.accepted & self.ball.holds(points))
            least = torch.where(wanted & ~verdict.accepted, weight, least)
            most = torch.where(~wanted & verdict.accepted, weight, most)
            weight = (least * most).sqrt()
        return points, done

    def limits(self) -> tuple[str, ...]:
        """What keeps the attacker from doing its best.

        Raises:
            InputError: If the network passes no gradient to its input, and its answer matters.
        """
        points = self.ball.center[:2].clone().requires_grad_()
        verdict, seen = self.guard.judge(points)
        if self.true is not None and not (seen.logits is not None and seen.logits.requires_grad):
            raise InputError(
                "expected a network that passes a gradient to its input, got none: attack the "
                "model that was exported, not the exported program"
            )
        if verdict.score.requires_grad:
            return ()
        return ("The score passes no gradient: a stronger attack may exist.",)

    def _gap_alone(self, points: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Lead of the right class in the logits of the bare network, and its gradient."""
        points = points.detach().requires_grad_()
        gap = self._gap(self.guard.sight.model(points), rows)
        return gap.detach(), _slope(gap, points)

    def _objective(self, points: Tensor, rows: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """What is left to achieve, and its gradient; -inf where all is achieved."""
        points = points.detach().requires_grad_()
        verdict, seen = self.guard.judge(points)
        cost, won = weight * self._excess(verdict, seen), verdict.accepted
        if self.true is not None:
            assert seen.logits is not None
            gap = self._gap(seen.logits, rows)
            cost = cost + (gap / self._unit + MARGIN).relu()
            won = won & (gap < 0)
        return torch.where(won, -torch.inf, cost.detach()), _slope(cost, points)

    def _gap(self, logits: Tensor, rows: Tensor) -> Tensor:
        assert self.true is not None
        logits, true = logits.double(), self.true[rows, None]
        others = logits.scatter(1, true, -torch.inf)
        return logits.gather(1, true)[:, 0] - others.amax(dim=1)

    @cached_property
    def _unit(self) -> float:
        """The usual lead of one class."""
        with torch.no_grad():
            logits = self.guard.sight.model(self.ball.center)
        gap = self._gap(logits, torch.arange(len(logits), device=logits.device))
        return gap.abs().median().clamp_min(1e-12).item()

    def _excess(self, verdict: Verdict, seen: Seen) -> Tensor:
        """How far beyond what the guard accepts, over all its reasons."""
        classes = verdict.prediction if self.guard.sight.classifies else None
        excess = self._off_map.beyond(verdict.score, classes)
        if self.guard.sure is not None:
            assert seen.logits is not None
            sure = seen.logits.double().log_softmax(dim=-1).amax(dim=-1)
            excess = excess + (self.guard.sure - sure + MARGIN).relu()
        if self._disputed is not None:
            assert self.guard.dispute is not None
            excess = excess + self._disputed.beyond(self.guard.dispute.score(seen), classes)
        return excess

    @cached_property
    def _off_map(self) -> "_Line":
        return _line(self.guard.ruler)

    @cached_property
    def _disputed(self) -> "_Line | None":
        return None if self.guard.dispute is None else _line(self.guard.dispute)


@dataclass(frozen=True, slots=True, eq=False)
class _Line:
    """The score from which on a ruler refuses, and the spread of usual scores, by group."""

    threshold: Tensor
    unit: Tensor

    def beyond(self, score: Tensor, classes: Tensor | None) -> Tensor:
        """Excess over the threshold, in units."""
        group = torch.zeros_like(score, dtype=torch.long)
        if len(self.threshold) > 1 and classes is not None:
            group = classes.clamp_min(0)
        return ((score - self.threshold[group]) / self.unit[group] + MARGIN).relu()


def _line(ruler: Ruler) -> _Line:
    ends = torch.tensor(SPREAD, dtype=torch.double, device=ruler.position.device)
    low, high = ruler.position.quantile(ends, dim=1)
    found = threshold(ruler.position, ruler.level, ruler.rate)
    return _Line(found, torch.where(high > low, high - low, 1.0))


def _slope(cost: Tensor, points: Tensor) -> Tensor:
    """The gradient of each row's cost; zero where there is none."""
    if not cost.requires_grad:
        return torch.zeros_like(points)
    (slope,) = torch.autograd.grad(cost.sum(), points)
    return slope.nan_to_num(0.0, 0.0, 0.0)
