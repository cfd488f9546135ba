"""The popular form: stopping early gives a ridge solution."""

import torch
from jaxtyping import Float
from torch import Tensor

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.implicit_bias.least_squares import flow_maps
from offmap.lab.data import digits


@claim(
    says="Gradient flow on least squares, stopped at any time, is at a ridge solution.",
    effect="distance of the coefficients from the nearest ridge solution of any penalty, relative "
    "to their norm, at the time where it is largest",
    below=0.01,
    scales={
        "smoke": {"n": 100, "times": 9, "penalties": 400},
        "desk": {"n": 300, "times": 50, "penalties": 4000},
        "full": {"n": 1200, "times": 100, "penalties": 8000},
    },
    seconds={"smoke": 0.1, "desk": 2.0, "full": 90.0},
    paper=Paper("Ali, Kolter and Tibshirani 2018", "https://arxiv.org/abs/1810.10082"),
    corrected="early_stopping_ridge",
)
def early_stopping_is_ridge(
    *, n: int, times: int, penalties: int, generator: torch.Generator
) -> Trial:
    """Digits below five against the others, by least squares of centered pixels.

    At each of many times the coefficients of gradient flow from zero are compared with the whole
    ridge path, of which the nearest point counts (not the one with the penalty 1/t). Both agree at
    the ends of the path, and everywhere where all eigenvalues are equal; between, flow shrinks a
    direction by 1 - exp(-ts), which is no s / (s + penalty).
    """
    images = digits()
    rows = torch.randperm(len(images.inputs), generator=generator)[:n]
    x = images.inputs[rows].flatten(1).double()
    y = (images.targets[rows] < 5).double()
    x, y = x - x.mean(0), y - y.mean()
    t = torch.logspace(-1, 4, times, dtype=torch.double)
    gap, penalty = nearest_ridge(x, y, t, penalties)
    worst = int(gap.argmax())
    return Trial(
        effect=gap.max().item(),
        parts={
            "time of the largest distance": t[worst].item(),
            "nearest penalty times that time": (penalty * t)[worst].item(),
        },
        figures=(
            Curve(
                "Early stopping is close to ridge, and is not ridge",
                "time t",
                "relative distance from the ridge path",
                t,
                {"": gap},
                log_x=True,
                log_y=True,
            ),
        ),
    )


def nearest_ridge(
    x: Float[Tensor, "n p"], y: Float[Tensor, " n"], times: Float[Tensor, " t"], penalties: int
) -> tuple[Float[Tensor, " t"], Float[Tensor, " t"]]:
    """Relative distance of flow at each time from the ridge path, and the nearest penalty."""
    flow = flow_maps(x, times) @ y
    eigenvalues, vectors = torch.linalg.eigh(x.T @ x / len(x))
    eigenvalues = eigenvalues.clamp_min(0)
    path = torch.logspace(-6, 3, penalties, dtype=torch.double)
    ridge = (vectors.T @ (x.T @ y / len(x))) / (eigenvalues + path[:, None])  # [penalties p]
    distance = torch.cdist(flow @ vectors, ridge, compute_mode="donot_use_mm_for_euclid_dist")
    nearest = distance.min(dim=1)
    return nearest.values / flow.norm(dim=1), path[nearest.indices]
