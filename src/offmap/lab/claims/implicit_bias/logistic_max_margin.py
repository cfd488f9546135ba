"""Logistic regression moves along the hard-margin solution, at the speed of a logarithm."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from scipy.integrate import solve_ivp
from scipy.special import expit

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.implicit_bias.max_margin import degrees, hard_margin, two_classes

SHOWN = (10.0, 25.0, 50.0, 100.0, 200.0, 800.0, 1600.0)  # log of time


@claim(
    says="On separable examples gradient flow of the logistic loss is w(t) = w_svm log t + a "
    "bounded rest: its direction tends to the hard-margin one, and the angle falls like 1 / log t.",
    effect="relative distance of (w(e^1600) - w(e^800)) / 800 from the hard-margin solution",
    below=1e-3,
    scales={
        "smoke": {"n": 40, "d": 2},
        "desk": {"n": 300, "d": 10},
        "full": {"n": 1000, "d": 30},
    },
    seconds={"smoke": 0.05, "desk": 0.5, "full": 5.0},
    paper=Paper("Soudry et al. 2018", "https://arxiv.org/abs/1710.10345"),
)
def logistic_max_margin(*, n: int, d: int, generator: torch.Generator) -> Trial:
    """Two clouds, no bias; the flow is integrated in the logarithm of time, to e^1600.

    No descent gets there by steps: at e^25 = 7e10 the angle is still some degrees. The hard-margin
    solution is exact, by nonnegative least squares.
    """
    z = two_classes(n, d, generator)
    svm, _ = hard_margin(z)
    way = flow(z, SHOWN)
    slope = (way[6] - way[5]) / (SHOWN[6] - SHOWN[5])
    angles = [degrees(w, svm) for w in way]
    margins = (way @ z.T).min(axis=1) / np.linalg.norm(way, axis=1) * np.linalg.norm(svm)
    log_times = torch.tensor(SHOWN, dtype=torch.double)
    return Trial(
        effect=float(np.linalg.norm(slope - svm) / np.linalg.norm(svm)),
        parts={
            "degrees at e^25": angles[1],
            "degrees at e^100": angles[3],
            "degrees at e^1600": angles[6],
            "margin over the largest at e^25": float(margins[1]),
            "margin over the largest at e^1600": float(margins[6]),
        },
        figures=(
            Curve(
                "Logistic regression turns to the hard-margin direction",
                "log of time",
                "degrees from the hard-margin direction",
                log_times,
                {
                    "gradient flow": torch.tensor(angles, dtype=torch.double),
                    "1 / log t": angles[4] * log_times[4] / log_times,
                },
                log_x=True,
                log_y=True,
            ),
        ),
    )


def flow(z: Float[np.ndarray, "n d"], log_times: Sequence[float]) -> Float[np.ndarray, "t d"]:
    """Gradient flow on the summed logistic loss, from zero, at these logarithms of time."""

    def rates(log_time: float, w: np.ndarray) -> np.ndarray:
        return np.exp(log_time - np.logaddexp(0, z @ w)) @ z

    start = np.zeros(z.shape[1])  # at time e^-12, before which nothing happens
    span = (-12.0, log_times[-1])
    return solve_ivp(rates, span, start, "LSODA", log_times, rtol=1e-9, atol=1e-9).y.T


def descent(z: Float[np.ndarray, "n d"], steps: Sequence[int]) -> Float[np.ndarray, "t d"]:
    """Plain descent on the summed logistic loss from zero, after these numbers of steps.

    Its rate is one over the largest curvature that the loss can have.
    """
    rate = learning_rate(z)
    w, way = np.zeros(z.shape[1]), []
    for start, stop in zip([0, *steps[:-1]], steps, strict=True):
        for _ in range(start, stop):
            w = w + rate * (expit(-(z @ w)) @ z)
        way.append(w)
    return np.stack(way)


def learning_rate(z: Float[np.ndarray, "n d"]) -> float:
    """Of plain descent on the summed logistic loss."""
    return float(4 / np.linalg.norm(z, 2) ** 2)
