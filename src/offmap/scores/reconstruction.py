"""What the principal components of training inputs leave of an input."""

import math

import torch
from jaxtyping import Float64, Shaped
from torch import Tensor

from offmap.measure import Paper
from offmap.score import Known, score
from offmap.scores.spread import flat, input_spread

FLOOR = 1e-6  # of the root-mean-square radius: where training inputs leave nothing


def _fit(
    known: Known,
    *,
    variance: float = 0.8,
    components: int | None = None,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """The leading components, and how much they usually leave.

    Args:
        known: Where the inputs come from.
        variance: Share that the components carry together.
        components: How many instead, at least 1 and fewer than an input has values.
        generator: Source of a sample, where inputs are too wide for a covariance.
    """
    found = input_spread(known, generator=generator)
    found = found.leading(variance, components)
    usual = max(math.sqrt(found.rest), FLOOR * math.sqrt(found.total))
    return {
        "mean": found.mean,
        "axes": found.axes,
        "usual": torch.tensor(usual, dtype=torch.double),
    }


@score(
    fit=_fit,
    says="How much of an input the principal components of training data cannot express.",
    caution=(
        "What lies in the span of the components looks familiar, however far it is from all "
        "training data: the mean image, blurred and faint ones, and mixtures of examples."
    ),
    paper=Paper(
        "Jackson and Mudholkar (1979), Control procedures for residuals associated with principal "
        "component analysis",
        "https://doi.org/10.1080/00401706.1979.10489779",
    ),
)
def reconstruction(
    inputs: Shaped[Tensor, "n ..."],
    /,
    mean: Float64[Tensor, " d"],
    axes: Float64[Tensor, "d k"],
    usual: Float64[Tensor, ""],
) -> Float64[Tensor, " n"]:
    r"""Length of the residual off the components, over its root mean square in training.

    .. math:: \lVert (I - A A^\top) (x - \bar x) \rVert_2
        / \sqrt{\operatorname{mean}_i \lVert (I - A A^\top) (x_i - \bar x) \rVert_2^2}
    """
    apart = flat(inputs) - mean
    return torch.linalg.vector_norm(apart - apart @ axes @ axes.T, dim=1) / usual
