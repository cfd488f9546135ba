"""Averages of targets never leave their range, however far the input is."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from sklearn.ensemble import RandomForestRegressor
from sklearn.neighbors import KNeighborsRegressor
from sklearn.tree import DecisionTreeRegressor
from torch import Tensor

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.numerics.hull import membership

FAR = 10.0  # queries reach as far; the data lies within 1


@claim(
    says="Nearest neighbors, kernel averages, trees and forests predict inside the hull of their "
    "training targets, everywhere.",
    effect="The largest proved distance of a prediction from the hull of the training targets, in "
    "root-mean-square radii of these",
    below=1e-9,
    scales={
        "smoke": {"examples": 100, "queries": 100, "trees": 5},
        "desk": {"examples": 1000, "queries": 1000, "trees": 50},
        "full": {"examples": 5000, "queries": 5000, "trees": 200},
    },
    seconds={"smoke": 0.15, "desk": 0.35, "full": 5.0},
    paper=Paper("Balestriero, Pesenti & LeCun 2021", "https://arxiv.org/abs/2110.09485"),
)
def output_hull(*, examples: int, queries: int, trees: int, generator: torch.Generator) -> Trial:
    """Two targets, linear in two inputs and noisy; inputs from [-1, 1], queries from [-10, 10].

    A prediction that is a weighted mean of training targets lies in their hull; a distance is
    what is proved by a direction, rounding subtracted. The control is least squares.
    """
    x, y = world(examples, generator)
    far = FAR * (2 * torch.rand(queries, 2, generator=generator, dtype=torch.double) - 1)
    seed = int(torch.randint(2**31, (), generator=generator))
    models: Mapping[str, Any] = {
        "5 nearest neighbors": KNeighborsRegressor(5),
        "tree": DecisionTreeRegressor(random_state=seed),
        "forest": RandomForestRegressor(trees, random_state=seed),
    }
    answers = {
        name: torch.from_numpy(np.asarray(model.fit(x.numpy(), y.numpy()).predict(far.numpy())))
        for name, model in models.items()
    }
    answers["kernel average"] = (-torch.cdist(far, x).square()).softmax(dim=1) @ y
    parts = {name: distance(answer, y) for name, answer in answers.items()}
    line = torch.linalg.lstsq(x, y).solution
    control = {"control: least squares": distance(far @ line, y)}
    track = torch.linspace(-FAR, FAR, 25, dtype=torch.double)
    along = torch.stack((track, track), dim=1)
    return Trial(max(parts.values()), parts | control, (_curve(track, along, models, line),))


def world(examples: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Inputs [n, 2] and targets [n, 2]."""
    x = 2 * torch.rand(examples, 2, generator=generator, dtype=torch.double) - 1
    matrix = torch.tensor([[3.0, 1.0], [0.0, 2.0]], dtype=torch.double)
    noise = torch.randn(examples, 2, generator=generator, dtype=torch.double)
    return x, x @ matrix + 0.1 * noise


def distance(answers: Float64[Tensor, "m k"], targets: Float64[Tensor, "n k"]) -> float:
    """How far the farthest answer is from the hull of the targets, in their radii."""
    radius = (targets - targets.mean(dim=0)).square().sum(dim=1).mean().sqrt()
    return (membership(targets, answers).distance_low.max() / radius).item()


def _curve(track: Tensor, along: Tensor, models: Mapping[str, Any], line: Tensor) -> Curve:
    series = {
        name: torch.from_numpy(np.asarray(model.predict(along.numpy()))[:, 0])
        for name, model in models.items()
    }
    return Curve(
        "First target along the diagonal; the data lies within 1", "both inputs", "prediction",
        track, series | {"least squares": (along @ line)[:, 0]},
    )  # fmt: skip
