"""The largest logit."""

from jaxtyping import Float
from torch import Tensor

from offmap.measure import Paper
from offmap.score import nothing, score


@score(
    fit=nothing,
    says="How little evidence the network has for the class that it chose: minus its logit.",
    caution=(
        "Networks with piecewise-linear layers have ever larger logits the farther an input lies "
        "from all data: far away everything looks familiar. Where a log-softmax ends the network, "
        "it is the maximum softmax under another name."
    ),
    paper=Paper(
        "Hendrycks, Basart, Mazeika et al. (2022), Scaling out-of-distribution detection for "
        "real-world settings",
        "https://arxiv.org/abs/1911.11132",
    ),
)
def max_logit(logits: Float[Tensor, "n c"], /) -> Float[Tensor, " n"]:
    """Minus the largest logit."""
    return -logits.amax(dim=-1).double()
