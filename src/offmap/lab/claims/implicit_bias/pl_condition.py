"""Gradient descent is fast without strong convexity: the Polyak-Lojasiewicz condition."""

from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim

PRECISION = 1e-10  # of the first gap: what is smaller is soon rounding


@claim(
    says="On least squares whose Hessian is singular, the gap to the least loss falls at least by "
    "the factor 1 - mu / L a step, with mu the smallest eigenvalue that is not zero.",
    effect="Largest gap over its bound (1 - mu / L)^k times the first gap, over all steps k >= 1.",
    below=1.0,
    scales={
        "smoke": {"n": 30, "dimension": 40, "rank": 10, "steps": 300},
        "desk": {"n": 60, "dimension": 100, "rank": 30, "steps": 5000},
        "full": {"n": 200, "dimension": 300, "rank": 100, "steps": 20000},
    },
    seconds={"smoke": 0.01, "desk": 0.02, "full": 0.2},
    paper=Paper("Karimi, Nutini & Schmidt 2016", "https://arxiv.org/abs/1608.04636"),
)
def pl_condition(
    *, n: int, dimension: int, rank: int, steps: int, generator: torch.Generator
) -> Trial:
    r"""Targets that cannot be fitted, inputs of low rank, steps of 1 / L from zero.

    .. math:: \tfrac12 |\nabla f|^2 \ge \mu (f - f^*), \qquad
        f(w) = \tfrac12 |Xw - y|^2

    The Hessian X'X has many zero eigenvalues, so f is not strongly convex; mu is the smallest of
    the others, and the condition is tight. In the end each step leaves the share (1 - mu / L)^2:
    the bound holds for all losses with the condition, quadratic ones do better. Control: with
    the loss f in place of the gap f - f*, the inequality fails here, where f* > 0.
    """
    problem = make(n, dimension, rank, generator)
    spectrum = torch.linalg.eigvalsh(problem.inputs.mT @ problem.inputs)
    low, high = spectrum[-rank].item(), spectrum[-1].item()
    path = descend(problem, 1 / high, steps)
    k = torch.arange(len(path.gap), dtype=torch.double)
    bound = path.gap[0] * (1 - low / high) ** k
    shown = torch.linspace(0, len(k) - 1, 40).long().unique()
    return Trial(
        effect=(path.gap / bound)[1:].max().item(),
        parts={
            "smallest eigenvalue of the Hessian / largest": (spectrum[0] / high).item(),
            "mu / L": low / high,
            "least |gradient|^2 / 2 over mu times the gap": (
                (path.gradient / 2 / (low * path.gap)).min().item()
            ),
            "the same with the loss in place of the gap": (
                (path.gradient / 2 / (low * (path.gap + problem.least))).min().item()
            ),
            "last fall of the gap / (1 - mu / L)^2": (
                (path.gap[-1] / path.gap[-2]).item() / (1 - low / high) ** 2
            ),
        },
        figures=(
            Curve(
                "Gap to the least loss", "step", "gap", k[shown],
                {"measured": path.gap[shown], "bound": bound[shown]}, log_y=True,
            ),
        ),
    )  # fmt: skip


class Problem(NamedTuple):
    """Least squares, and the least loss that there is."""

    inputs: Float64[Tensor, "n d"]
    targets: Float64[Tensor, " n"]
    reachable: Float64[Tensor, "n r"]  # orthonormal: what the inputs can fit
    least: float


class Path(NamedTuple):
    """Of gradient descent: what is left to fall, and the squared norm of the gradient."""

    gap: Float64[Tensor, " k"]
    gradient: Float64[Tensor, " k"]


def make(n: int, dimension: int, rank: int, generator: torch.Generator) -> Problem:
    """Gaussian factors of low rank, and targets that are noise alone."""

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.double)

    inputs, targets = normal(n, rank) @ normal(rank, dimension), normal(n)
    reachable = torch.linalg.svd(inputs).U[:, :rank]
    missed = targets - reachable @ (reachable.mT @ targets)
    return Problem(inputs, targets, reachable, 0.5 * missed.square().sum().item())


def descend(problem: Problem, rate: float, steps: int) -> Path:
    """Gradient descent from zero, stopped when next to nothing is left to fall."""
    weights = problem.inputs.new_zeros(problem.inputs.shape[1])
    gaps, gradients = [], []
    for _ in range(steps):
        residual = problem.inputs @ weights - problem.targets
        gradient = problem.inputs.mT @ residual
        gaps.append(0.5 * (problem.reachable.mT @ residual).square().sum())
        gradients.append(gradient.square().sum())
        if gaps[-1] < PRECISION * gaps[0]:
            break
        weights = weights - rate * gradient
    return Path(torch.stack(gaps), torch.stack(gradients))
