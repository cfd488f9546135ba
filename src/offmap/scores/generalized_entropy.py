"""Generalized entropy of the softmax (GEN)."""

import torch
from jaxtyping import Float
from torch import Tensor

from offmap.measure import Paper
from offmap.score import Known, score
from offmap.scores.head import log_others


def _fit(known: Known, *, gamma: float = 0.1, classes: int = 100) -> dict[str, Tensor]:
    """Nothing is learned; settings are checked.

    Raises:
        ValueError: If gamma is not in (0, 1), or there are no classes to sum over.
    """
    if not 0 < gamma < 1:
        raise ValueError(f"expected gamma between 0 and 1, got {gamma:g}")
    if classes < 1:
        raise ValueError(f"expected classes >= 1, got {classes}")
    return {}


@score(
    fit=_fit,
    says="How far the softmax is from a clear answer, small probabilities counting almost as much "
    "as large ones.",
    caution=(
        "It knows nothing but the softmax, which networks with piecewise-linear layers make as "
        "clear as can be far away from all data."
    ),
    paper=Paper(
        "Liu, Lochman and Zach (2023), GEN: Pushing the limits of softmax-based "
        "out-of-distribution detection",
        "https://openaccess.thecvf.com/content/CVPR2023/html/Liu_GEN_Pushing_the_Limits_of_"
        "Softmax-Based_Out-of-Distribution_Detection_CVPR_2023_paper.html",
    ),
)
def generalized_entropy(
    logits: Float[Tensor, "n c"], /, *, gamma: float = 0.1, classes: int = 100
) -> Float[Tensor, " n"]:
    r"""Logarithm of the generalized entropy of the likeliest classes.

    .. math:: \log \sum_{j \le M} p_{(j)}^\gamma (1 - p_{(j)})^\gamma

    The order is that of the sum itself, which would round to zero for very sure answers.

    Args:
        logits: Class scores.
        gamma: The power; the smaller, the more unlikely classes count.
        classes: How many of the likeliest are summed over (all, where there are fewer).
    """
    log_p = logits.double().log_softmax(dim=-1)
    top = log_p.topk(min(classes, logits.shape[-1]), dim=-1).values
    # No class but the first can have more than one half: 1 - p is exact for all others.
    rest = torch.cat([log_others(logits)[:, None], (-top[:, 1:].exp()).log1p()], dim=-1)
    return (gamma * (top + rest)).logsumexp(dim=-1)
