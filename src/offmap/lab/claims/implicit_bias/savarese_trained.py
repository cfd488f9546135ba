"""A wide network trained with weight decay connects the dots, where nothing else is as cheap."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import minimize

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.implicit_bias.relu_line import alternating, law, points, spline_cost

DECAYS = (1e-2, 1e-3, 1e-4)


@claim(
    says="A wide one-hidden-layer ReLU network on the line, trained with a small weight decay on "
    "points whose slopes change in alternating directions, draws straight lines between them.",
    effect="largest distance from the lines, relative to the range of the values",
    below=0.02,
    scales={
        "smoke": {"n": 5, "width": 50, "iterations": 500},
        "desk": {"n": 6, "width": 300, "iterations": 5000},
        "full": {"n": 10, "width": 1000, "iterations": 20_000},
    },
    seconds={"smoke": 0.1, "desk": 0.8, "full": 30.0},
    paper=Paper("Savarese et al. 2019", "https://arxiv.org/abs/1902.05040"),
)
def savarese_trained(*, n: int, width: int, iterations: int, generator: torch.Generator) -> Trial:
    r"""Half the squared error plus :math:`\lambda (\lVert a \rVert^2 + \lVert w \rVert^2) / 2`.

    Biases are free. Trained by L-BFGS from a random start, with the decay 0.01, 0.001, 0.0001 in
    turn. Only points where the lines are the one cheapest network are drawn (`savarese_unique`).
    """
    rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
    x, y = points(n, rng)
    while not (alternating(x, y) and law(x, y) == spline_cost(x, y)):
        x, y = points(n, rng)
    network = start(x, width, rng)
    for decay in DECAYS:
        network = train(network, x, y, decay, iterations)
    at = np.linspace(x[0], x[-1], 50)
    lines = np.interp(at, x, y)
    cost = ((network.a**2).sum() + (network.w**2).sum()) / 2
    return Trial(
        effect=float(np.abs(network(at) - lines).max() / np.ptp(y)),
        parts={
            "cost over the smallest": float(cost / law(x, y)),
            "largest residual": float(np.abs(network(x) - y).max()),
        },
        figures=(
            Curve(
                "Weight decay connects the dots",
                "input",
                "output",
                torch.tensor(at),
                {"network": torch.tensor(network(at)), "straight lines": torch.tensor(lines)},
            ),
        ),
    )


class Network(NamedTuple):
    """Weights of c + sum_k a_k (w_k x + b_k)_+."""

    a: Float[np.ndarray, " m"]
    w: Float[np.ndarray, " m"]
    b: Float[np.ndarray, " m"]
    c: float

    def __call__(self, at: np.ndarray) -> np.ndarray:
        """Its values."""
        return (np.outer(at, self.w) + self.b).clip(0) @ self.a + self.c


def start(x: Float[np.ndarray, " n"], width: int, rng: np.random.Generator) -> Network:
    """Normal weights, knots around the points."""
    w = rng.standard_normal(width)
    knots = rng.uniform(x[0] - 1, x[-1] + 1, width)
    return Network(rng.standard_normal(width) / width**0.5, w, -w * knots, 0.0)


def train(
    network: Network, x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"], decay: float,
    iterations: int,
) -> Network:  # fmt: skip
    """Lower the penalized loss by L-BFGS."""
    m = len(network.a)
    pull = np.concatenate([np.full(2 * m, decay), np.zeros(m + 1)])  # biases are not decayed

    def penalized(p: np.ndarray) -> tuple[float, np.ndarray]:
        before = np.outer(x, p[m : 2 * m]) + p[2 * m : 3 * m]
        hidden = before.clip(0)
        error = hidden @ p[:m] + p[-1] - y
        back = np.outer(error, p[:m]) * (before > 0)
        slope = np.concatenate([error @ hidden, x @ back, back.sum(axis=0), [error.sum()]])
        return float((error @ error + pull @ p**2) / 2), slope + pull * p

    flat = np.concatenate([network.a, network.w, network.b, [network.c]])
    options = {"maxiter": iterations, "maxfun": 2 * iterations, "maxcor": 30, "ftol": 1e-14}
    p = minimize(penalized, flat, jac=True, method="L-BFGS-B", options=options).x
    return Network(p[:m], p[m : 2 * m], p[2 * m : 3 * m], float(p[-1]))
