"""The network's own doubt: the probability that it leaves to all classes but the likeliest."""

from jaxtyping import Float
from torch import Tensor

from offmap.measure import Paper
from offmap.score import nothing, score
from offmap.scores.head import log_others


@score(
    fit=nothing,
    says="How unsure the network says it is: one minus its largest softmax, as a logarithm.",
    caution=(
        "A softmax shares out one whole among the known classes however strange the input is; "
        "far from all data networks with piecewise-linear layers become certain of one class."
    ),
    paper=Paper(
        "Hendrycks and Gimpel (2017), A baseline for detecting misclassified and "
        "out-of-distribution examples in neural networks",
        "https://arxiv.org/abs/1610.02136",
    ),
)
def max_softmax(logits: Float[Tensor, "n c"], /) -> Float[Tensor, " n"]:
    r"""Logarithm of one minus the largest softmax, in nats.

    .. math:: \log(1 - \max_k p_k) = \log \sum_{j \ne k^*} e^{l_j} - \log \sum_j e^{l_j}

    The order is that of the maximum softmax. But the softmax itself rounds to exactly 1 once the
    logits lie 17 apart (37 in float64), and then nothing tells one sure answer from a surer one.
    """
    return log_others(logits)
