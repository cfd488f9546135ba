"""The part of an input in directions in which training inputs hardly vary."""

import math

import torch
from jaxtyping import Float64, Shaped
from torch import Tensor

from offmap.measure import Paper
from offmap.score import Known, score
from offmap.scores.spread import Spread, flat, input_spread

TINY = 1e-3  # directions with so little of the level count fully: they need not be kept
FLOOR = 1e-6  # of the root-mean-square radius: where training inputs have no such part


def _fit(known: Known, *, level: float = 1e-3, generator: torch.Generator) -> dict[str, Tensor]:
    """Principal directions, what part of each is seen, and the usual length of what is not.

    Args:
        known: Where the inputs come from.
        level: Variance, over that along an average direction, at which a direction is half seen.
        generator: Source of a sample, where inputs are too wide for a covariance.

    Raises:
        ValueError: If the level is not positive.
    """
    if not 0 < level < math.inf:
        raise ValueError(f"expected level > 0, got {level:g}")
    found = input_spread(known, generator=generator)
    ridge = level * found.total / len(found.mean)
    seen = found.variance / (found.variance + ridge)
    kept = max(1, int((seen > TINY).sum()))
    usual = max(_usual(found, seen), FLOOR * math.sqrt(found.total))
    return {
        "mean": found.mean,
        "axes": found.axes[:, :kept],
        "seen": seen[:kept],
        "usual": torch.tensor(usual, dtype=torch.double),
    }


def _usual(found: Spread, seen: Float64[Tensor, " k"]) -> float:
    """Root mean square of the score over training inputs."""
    return math.sqrt((found.variance * (1 - seen).square()).sum().item() + found.rest)


@score(
    fit=_fit,
    says="How much of an input lies in directions that training data never or hardly ever take.",
    caution=(
        "Linear: strangers made of what training data do take, such as new objects on the same "
        "background, look familiar. Where no direction is rare it says little."
    ),
    paper=Paper(
        "Melamed, Yehudai and Vardi (2023), Adversarial examples exist in two-layer ReLU networks "
        "for low dimensional linear subspaces",
        "https://arxiv.org/abs/2303.00783",
    ),
)
def unseen_directions(
    inputs: Shaped[Tensor, "n ..."],
    /,
    mean: Float64[Tensor, " d"],
    axes: Float64[Tensor, "d k"],
    seen: Float64[Tensor, " k"],
    usual: Float64[Tensor, ""],
) -> Float64[Tensor, " n"]:
    r"""Length of the input off the numerical span of training, over its root mean square there.

    .. math:: \lVert r (\Sigma + r I)^{-1} (x - \bar x) \rVert_2

    A direction along which training has variance s counts as r / (s + r), with r a thousandth of
    the average variance: one that it never takes, such as a pixel that is always dark, counts
    fully, one that it takes to an ordinary extent by a thousandth.

    Gradients have no component in directions that no training input takes, so that what the network
    makes of this part comes from its initial weights. `reconstruction` asks another question: its
    components carry most of the variance, and hundreds of directions that training does take, such
    as fine detail, are what it calls residual; light in dead pixels is lost among them. Here only
    such light counts.
    """
    apart = flat(inputs) - mean
    residual = apart - (apart @ axes * seen) @ axes.T
    return torch.linalg.vector_norm(residual, dim=1) / usual
