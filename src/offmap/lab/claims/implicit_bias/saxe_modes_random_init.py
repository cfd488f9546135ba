"""The order and the times at which modes are learned from small random weights."""

import torch
from jaxtyping import Float64
from torch import Tensor

from offmap.figures import Scatter
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.implicit_bias.deep_linear import (
    Layers,
    Modes,
    half_time,
    target,
)
from offmap.lab.claims.implicit_bias.saxe_modes import crossings, trajectory


@claim(
    says="From small random weights a wide two-layer linear network learns each mode when the "
    "closed form says, started from the part of the weights that both layers have in common.",
    effect="Largest relative difference between the measured half-time of a mode and the law's.",
    below=0.02,
    scales={
        "smoke": {"strengths": (8.0, 5.0, 3.0, 1.5), "hidden": 100, "size": 0.01, "rate": 1e-3},
        "desk": {"strengths": (8.0, 5.0, 3.0, 1.5), "hidden": 400, "size": 0.003, "rate": 5e-4},
        "full": {
            "strengths": (9.0, 7.0, 5.0, 3.0, 2.0, 1.0), "hidden": 1600, "size": 0.001,
            "rate": 5e-4,
        },
    },
    seconds={"smoke": 0.15, "desk": 0.7, "full": 20},
    paper=Paper("Saxe, McClelland & Ganguli 2014", "https://arxiv.org/abs/1312.6120"),
)  # fmt: skip
def saxe_modes_random_init(
    *, strengths: tuple[float, ...], hidden: int, size: float, rate: float,
    generator: torch.Generator,
) -> Trial:  # fmt: skip
    r"""Gradient descent on a random linear map, from weights of small standard deviation.

    For a mode with the singular vectors u and v, while all is small, W2'u + W1 v grows as
    :math:`e^{st}` and W2'u - W1 v dies out. So the mode follows the law of aligned weights from

    .. math:: a = \big|(W_2^T u + W_1 v) / 2\big|^2, \qquad
        t_{1/2} = \frac{\log (s / a - 1)}{2 s}

    which is hidden size^2 / 2 on average. In parts: with ten hidden units, where modes share
    directions and get in each other's way.
    """
    modes = target(strengths, 8, 12, generator)
    wide, law = half_times(modes, random_layers(hidden, size, generator), rate)
    few, few_law = half_times(modes, random_layers(10, size, generator), rate)
    return Trial(
        effect=(wide / law - 1).abs().max().item(),
        parts={
            "smallest half-time of a mode / that of the next stronger": (
                (wide[1:] / wide[:-1]).min().item()
            ),
            "largest difference with ten hidden units": (few / few_law - 1).abs().max().item(),
        },
        figures=(
            Scatter(
                "When modes are learned", "half-time by the law", "half-time measured",
                torch.cat([law, few_law]), torch.cat([wide, few]),
                (f"{hidden} hidden units",) * len(law) + ("10 hidden units",) * len(law),
            ),
        ),
    )  # fmt: skip


def random_layers(hidden: int, size: float, generator: torch.Generator) -> Layers:
    """Normal weights of a network of 12 inputs and 8 outputs."""
    shapes = ((hidden, 12), (8, hidden))
    return Layers(
        *(size * torch.randn(*s, generator=generator, dtype=torch.double) for s in shapes)
    )


def half_times(
    modes: Modes, start: Layers, rate: float
) -> tuple[Float64[Tensor, " k"], Float64[Tensor, " k"]]:
    """Measured time at which each mode has half of its strength, and that of the law."""
    common = (start.second.mT @ modes.left + start.first @ modes.right) / 2
    law = half_time(modes.strength, common.square().sum(dim=0))
    path, _ = trajectory(modes, start, rate, 1.5 * law.max().item())
    return rate * crossings(modes, path), law
