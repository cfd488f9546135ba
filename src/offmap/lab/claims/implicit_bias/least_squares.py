"""Solutions of least squares as linear maps of the targets, without a singular value decomposition.

They are computed in other ways than the laws that the claims compare them with.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim import Optimizer


def flow_maps(x: Float[Tensor, "n p"], times: Float[Tensor, " t"]) -> Float[Tensor, "t p n"]:
    r"""What gradient flow on :math:`\lVert y - X b \rVert^2 / 2n` from zero makes of y, by time.

    The flow :math:`\dot b = X^T (y - X b) / n` is linear in (b, y): one matrix exponential.
    """
    n, p = x.shape
    rate = x.new_zeros(p + n, p + n)
    rate[:p, :p], rate[:p, p:] = -x.T @ x / n, x.T / n
    return torch.matrix_exp(times[:, None, None] * rate)[:, :p, p:]


def ridge_maps(x: Float[Tensor, "n p"], penalties: Float[Tensor, " t"]) -> Float[Tensor, "t p n"]:
    r"""What ridge makes of y: :math:`(X^T X + n \lambda I)^{-1} X^T`, by penalty."""
    n, p = x.shape
    penalty = n * penalties[:, None, None] * torch.eye(p, dtype=x.dtype)
    return torch.linalg.solve(x.T @ x + penalty, x.T.expand(len(penalties), p, n))


def risks(
    maps: Float[Tensor, "t p n"], x: Float[Tensor, "n p"], truth: Float[Tensor, " p"], noise: float
) -> Float[Tensor, " t"]:
    """Expected squared error of the coefficients, over the noise of standard deviation `noise`."""
    bias = maps @ (x @ truth) - truth
    return bias.square().sum(1) + noise**2 * maps.square().sum((1, 2))


def descend(
    start: Float[Tensor, "p k"],
    gradient: Callable[[Float[Tensor, "p k"], int], Float[Tensor, "p k"]],
    optimizer: Callable[[list[Tensor]], Optimizer],
    steps: int,
    *,
    marks: int = 1,
    decay: float = 1.0,
) -> Float[Tensor, "marks p k"]:
    """The way of one of torch's optimizers, at equal distances; the end comes last.

    Args:
        start: Initial coefficients; not changed.
        gradient: Of the loss, from the coefficients and the number of the step.
        optimizer: As torch has it, of the parameters that it is given.
        steps: Updates; as many of them as the marks divide are made.
        marks: Points of the way that are kept.
        decay: What the learning rate is multiplied with after each update.
    """
    b = start.clone()
    updates = optimizer([b])
    way = []
    for step in range(marks * (steps // marks)):
        b.grad = gradient(b, step)
        updates.step()
        updates.param_groups[0]["lr"] *= decay
        if (step + 1) % (steps // marks) == 0:
            way.append(b.detach().clone())
    return torch.stack(way)


def nearest_solution(
    x: Float[Tensor, "n p"], y: Float[Tensor, "n k"], start: Float[Tensor, "p k"]
) -> Float[Tensor, "p k"]:
    """The exact fit that is nearest to the start: X^+ y + (I - X^+ X) start."""
    return start + torch.linalg.pinv(x) @ (y - x @ start)
