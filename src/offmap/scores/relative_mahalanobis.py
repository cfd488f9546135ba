"""Mahalanobis distance to the nearest class mean, less that to all training features."""

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from offmap.attempt import InputError
from offmap.measure import Paper
from offmap.score import Known, score
from offmap.scores.gaussian import gaussians, squared


def _fit(known: Known, *, shrinkage: float | None = None) -> dict[str, Tensor]:
    """Means of the classes and the covariance within them; mean and covariance of all features.

    Args:
        known: Where features and classes come from.
        shrinkage: Weight of equal variances in both covariances, 0 to 1; None: by Ledoit and Wolf.

    Raises:
        InputError: If there are no classes, or a single one.
    """
    if known.targets is None or not bool((known.targets != known.targets[0]).any()):
        raise InputError(
            "expected training examples of at least 2 classes, got "
            f"{'none' if known.targets is None else 'those of one'}: take mahalanobis"
        )
    near = gaussians(known, known.targets, shrinkage)
    broad = gaussians(known, torch.zeros_like(known.targets), shrinkage)
    center = broad.means[0]
    return {
        "center": center,
        "means": (near.means - center) @ near.whitening,
        "within": near.whitening,
        "overall": broad.whitening,
    }


@score(
    fit=_fit,
    says="How much farther the features are from the nearest class mean than from training "
    "features in general, in squared standard deviations.",
    caution=(
        "What is as far from all training data as from every class looks familiar: strangers that "
        "change what all classes share are left to mahalanobis."
    ),
    paper=Paper(
        "Ren, Fort, Liu, Roy, Padhy and Lakshminarayanan (2021), A simple fix to Mahalanobis "
        "distance for improving near-OOD detection",
        "https://arxiv.org/abs/2106.09022",
    ),
)
def relative_mahalanobis(
    features: Float[Tensor, "n d"],
    /,
    center: Float64[Tensor, " d"],
    means: Float64[Tensor, "c d"],
    within: Float64[Tensor, "d d"],
    overall: Float64[Tensor, "d d"],
) -> Float64[Tensor, " n"]:
    r"""Squared Mahalanobis distance to the nearest class mean, less that to the mean of all.

    .. math::
        \min_c\; (z - \mu_c)^\top \Sigma^{-1} (z - \mu_c) - (z - \mu)^\top \Sigma_0^{-1} (z - \mu)
    """
    near = squared(features, center, means, within).amin(dim=1)
    return near - squared(features, center, torch.zeros_like(means[:1]), overall).squeeze(1)
