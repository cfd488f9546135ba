"""Deep linear networks learn one mode after the other, each along a sigmoid."""

from itertools import islice

import torch
from jaxtyping import Float64
from torch import Tensor

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.implicit_bias.deep_linear import (
    Layers,
    Modes,
    descend,
    half_time,
    orthonormal,
    sigmoid,
    strengths_of,
    target,
)


@claim(
    says="From small weights aligned with the data, a two-layer linear network learns each "
    "singular mode along the sigmoid of Saxe et al., the stronger modes first.",
    effect="Largest distance of a mode from its closed form over all times, over its final "
    "strength.",
    below=0.01,
    scales={
        "smoke": {"strengths": (8.0, 5.0, 3.0, 1.5), "hidden": 10, "rate": 1e-3, "start": 1e-3},
        "desk": {"strengths": (8.0, 5.0, 3.0, 1.5), "hidden": 30, "rate": 2e-4, "start": 1e-3},
        "full": {
            "strengths": (9.0, 7.0, 5.0, 3.0, 2.0, 1.0), "hidden": 100, "rate": 1e-4,
            "start": 1e-5,
        },
    },
    seconds={"smoke": 0.15, "desk": 1, "full": 8},
    paper=Paper("Saxe, McClelland & Ganguli 2014", "https://arxiv.org/abs/1312.6120"),
)  # fmt: skip
def saxe_modes(
    *, strengths: tuple[float, ...], hidden: int, rate: float, start: float,
    generator: torch.Generator,
) -> Trial:  # fmt: skip
    r"""Gradient descent on a random linear map of 12 whitened inputs and 8 outputs.

    Both layers start balanced and aligned with its singular vectors, every mode at the strength a.
    At time t, step times rate, the mode of singular value s is compared with

    .. math:: u(t) = \frac{s\,e^{2st}}{e^{2st} - 1 + s/a}

    The rate is finite, so some distance remains: twice the rate, twice the distance. Control: one
    layer, whose modes all reach half of their strength together.
    """
    modes = target(strengths, 8, 12, generator)
    frame = orthonormal(hidden, len(strengths), generator)
    begin = Layers(start**0.5 * frame @ modes.right.mT, start**0.5 * modes.left @ frame.mT)
    first = torch.full_like(modes.strength, start)
    half = half_time(modes.strength, first)
    until = 1.4 * half.max().item()
    path, times = trajectory(modes, begin, rate, until)
    off = distance(modes, first, path, times)
    twice = distance(modes, first, *trajectory(modes, begin, 2 * rate, until))
    some = torch.linspace(0, len(times) - 1, 18).long()
    measured, law = path[some], sigmoid(modes.strength, first, times[some])
    crossed, alone = crossings(modes, path), crossings(modes, one_layer(modes, rate, until))
    return Trial(
        effect=off,
        parts={
            "distance at twice the rate / distance": twice / off,
            "half-time of the weakest mode / of the strongest": (crossed[-1] / crossed[0]).item(),
            "the same by the law": (half[-1] / half[0]).item(),
            "the same with one layer": (alone[-1] / alone[0]).item(),
        },
        figures=(
            Curve(
                "Modes over training time", "time", "strength", times[some],
                {f"s = {s:g}": measured[:, k] for k, s in enumerate(strengths)}
                | {f"s = {s:g}, law": law[:, k] for k, s in enumerate(strengths)},
            ),
        ),
    )  # fmt: skip


def trajectory(
    modes: Modes, start: Layers, rate: float, until: float
) -> tuple[Float64[Tensor, "t k"], Float64[Tensor, " t"]]:
    """Strength of each mode after every step, and the times of the steps."""
    steps = round(until / rate)
    walk = islice(descend(modes.matrix, start, rate), steps)
    path = torch.stack([strengths_of(modes, layers) for layers in walk])
    return path, rate * torch.arange(steps, dtype=torch.double)


def one_layer(modes: Modes, rate: float, until: float) -> Float64[Tensor, "t k"]:
    """Strength of each mode in a network of one layer, trained from zero."""
    goal, path = modes.matrix, []
    weights = torch.zeros_like(goal)
    for _ in range(round(until / rate)):
        path.append((modes.left * (weights @ modes.right)).sum(dim=0))
        weights = weights + rate * (goal - weights)
    return torch.stack(path)


def crossings(modes: Modes, path: Float64[Tensor, "t k"]) -> Float64[Tensor, " k"]:
    """Steps before each mode has half of its strength."""
    return (path < modes.strength / 2).double().cumprod(dim=0).sum(dim=0)


def distance(
    modes: Modes, first: Float64[Tensor, " k"], path: Float64[Tensor, "t k"],
    times: Float64[Tensor, " t"],
) -> float:  # fmt: skip
    """Largest distance of a mode from the law, over its final strength."""
    law = sigmoid(modes.strength, first, times)
    return ((path - law).abs() / modes.strength).max().item()
