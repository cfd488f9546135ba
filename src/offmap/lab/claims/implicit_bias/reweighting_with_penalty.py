"""What makes example weights matter again: a penalty on the classifier's norm."""

import numpy as np
import torch
from jaxtyping import Float64
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit
from torch import Tensor

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.implicit_bias.reweighting import angle, separable, weightings


@claim(
    says="With an L2 penalty the same weights do move the boundary, by more than 5 degrees; the "
    "move fades with the penalty, but slowly.",
    effect="Degrees between the minimizers of the penalized logistic loss with five examples "
    "counted fifty times and with equal weights, at a penalty of 0.1.",
    above=5.0,
    scales={
        "smoke": {"n": 30, "dimension": 50, "penalties": (1e-4, 1e-2, 0.1)},
        "desk": {"n": 30, "dimension": 50, "penalties": (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0)},
        "full": {"n": 200, "dimension": 300, "penalties": (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0)},
    },
    seconds={"smoke": 0.01, "desk": 0.03, "full": 1},
    paper=Paper("Byrd & Lipton 2019", "https://arxiv.org/abs/1812.03372"),
)
def reweighting_with_penalty(
    *, n: int, dimension: int, penalties: tuple[float, ...], generator: torch.Generator
) -> Trial:
    r"""The data of reweighting_null; convex programs, solved to the end.

    .. math:: \min_w \; \sum_i c_i \log(1 + e^{-w \cdot z_i}) / \sum_i c_i
        + \tfrac{\lambda}{2} |w|^2
    """
    signed = separable(n, dimension, generator)
    equal, heavy, _ = weightings(n, generator)
    apart = {
        penalty: angle(*(minimizer(signed, c, penalty) for c in (equal, heavy))).item()
        for penalty in penalties
    }
    return Trial(
        effect=apart[0.1],
        parts={f"degrees at a penalty of {penalty:g}": apart[penalty] for penalty in penalties},
        figures=(
            Curve(
                "What the weights do, over the penalty", "penalty", "degrees between classifiers",
                torch.tensor(penalties, dtype=torch.double),
                {"": torch.tensor(list(apart.values()), dtype=torch.double)}, log_x=True,
            ),
        ),
    )  # fmt: skip


def minimizer(
    signed: Float64[Tensor, "n d"], weights: Float64[Tensor, " n"], penalty: float
) -> Float64[Tensor, " d"]:
    """The classifier of least penalized, weighted logistic loss, by Newton's method.

    Args:
        signed: Inputs times labels.
        weights: Of the examples.
        penalty: On half the squared norm.
    """
    z, c = signed.numpy(), (weights / weights.sum()).numpy()

    def loss(w: NDArray) -> tuple[float, NDArray]:
        margin = z @ w
        value = c @ np.logaddexp(0, -margin) + penalty / 2 * w @ w
        return float(value), penalty * w - (c * expit(-margin)) @ z

    def hessian(w: NDArray) -> NDArray:
        margin = z @ w
        bend = c * expit(margin) * expit(-margin)
        return z.T @ (bend[:, None] * z) + penalty * np.eye(len(w))

    found = minimize(
        loss, np.zeros(z.shape[1]), jac=True, hess=hessian, method="trust-exact",
        options={"gtol": 1e-8 * penalty},
    )  # fmt: skip
    return torch.from_numpy(found.x)
