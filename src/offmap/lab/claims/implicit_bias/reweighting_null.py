"""On data that can be separated, the weights of the examples are forgotten."""

from collections.abc import Mapping
from typing import Any

import torch

from offmap.figures import Curve
from offmap.lab.claim import Paper, Scale, Trial, claim
from offmap.lab.claims.implicit_bias.reweighting import (
    angle,
    descend,
    max_margin,
    separable,
    weightings,
)

SCALES: Mapping[Scale, Mapping[str, Any]] = {
    "smoke": {"n": 30, "dimension": 50, "steps": 6000},
    "desk": {"n": 30, "dimension": 50, "steps": 40000},
    "full": {"n": 100, "dimension": 200, "steps": 100000},
}


@claim(
    says="On separable data the direction that gradient descent takes with any positive weights "
    "of the examples is that of the max-margin separator.",
    effect="Largest 1 - cosine between a classifier and the max-margin separator, over three "
    "weightings: equal, five examples counted fifty times, and spread over a factor of 1000.",
    below=1e-4,
    scales=SCALES,
    seconds={"smoke": 0.13, "desk": 0.6, "full": 5},
    paper=Paper("Byrd & Lipton 2019", "https://arxiv.org/abs/1812.03372"),
)
def reweighting_null(*, n: int, dimension: int, steps: int, generator: torch.Generator) -> Trial:
    """Linear classifiers of random labels in more dimensions than examples, exponential loss.

    The separator is the nearest point of the hull of the signed examples to zero (offmap's hull
    kernel, a certified answer). In the figure, the angle to it over training: the weights are seen
    early, and forgotten.
    """
    signed = separable(n, dimension, generator)
    weights = weightings(n, generator)
    times = torch.logspace(0, torch.tensor(steps).log10().item(), 20).long().unique()
    path = descend(signed, weights, times)
    away = angle(path, max_margin(signed).expand_as(path))
    between = angle(path[:, :1].expand_as(path), path)
    early = int((times <= 10).sum()) - 1
    names = ("equal", "five count fifty times", "spread over 1000")
    return Trial(
        effect=(1 - away[-1].deg2rad().cos()).max().item(),
        parts={
            "degrees between weighted and equal after ten steps": between[early, 1].item(),
            "degrees between them at the end": between[-1, 1].item(),
        },
        figures=(
            Curve(
                "Forgetting the weights", "step", "degrees to the max-margin separator",
                times.double(), {name: away[:, k] for k, name in enumerate(names)},
                log_x=True, log_y=True,
            ),
        ),
    )  # fmt: skip
