"""Mahalanobis distance of the features to the nearest class mean."""

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from offmap.measure import Paper
from offmap.score import Known, score
from offmap.scores.gaussian import gaussians, squared


def _fit(known: Known, *, shrinkage: float | None = None) -> dict[str, Tensor]:
    """Means of the classes, of all together where there are none, and the covariance within them.

    Args:
        known: Where features and classes come from.
        shrinkage: Weight of equal variances in the covariance, 0 to 1; None: by Ledoit and Wolf.
    """
    assert known.features is not None
    one = torch.zeros(len(known.features), dtype=torch.long)
    found = gaussians(known, one if known.targets is None else known.targets, shrinkage)
    center = found.means.mean(dim=0)
    means = (found.means - center) @ found.whitening
    return {"center": center, "means": means, "whitening": found.whitening}


@score(
    fit=_fit,
    says="How many standard deviations the features are from the nearest class mean, squared.",
    caution=(
        "One covariance stands for all classes. Directions in which every feature varies count as "
        "much as those that tell the classes apart: relative_mahalanobis leaves them out."
    ),
    paper=Paper(
        "Lee, Lee, Lee and Shin (2018), A simple unified framework for detecting "
        "out-of-distribution samples and adversarial attacks",
        "https://arxiv.org/abs/1807.03888",
    ),
)
def mahalanobis(
    features: Float[Tensor, "n d"],
    /,
    center: Float64[Tensor, " d"],
    means: Float64[Tensor, "c d"],
    whitening: Float64[Tensor, "d d"],
) -> Float64[Tensor, " n"]:
    r"""Squared Mahalanobis distance to the nearest class mean, :math:`\Sigma` that within classes.

    .. math:: \min_c\; (z - \mu_c)^\top \Sigma^{-1} (z - \mu_c)
    """
    return squared(features, center, means, whitening).amin(dim=1)
