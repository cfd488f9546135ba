"""Length of the gradient that would make the answer uniform (GradNorm)."""

import torch
from jaxtyping import Float
from torch import Tensor

from offmap.measure import Paper
from offmap.score import Known, score
from offmap.scores.head import last_layer


def _fit(known: Known) -> dict[str, Tensor]:
    """Nothing is learned; the closed form holds where a linear head is the last layer."""
    last_layer(known)
    return {}


@score(
    fit=_fit,
    says="How little the head's weights would have to move for the answer to become uniform: minus "
    "the L1 norm of the gradient.",
    caution=(
        "It is the size of the features times how far the softmax is from uniform, both of which "
        "grow without bound or become certain far away from all data: there it calls everything "
        "familiar. On small images it has been found little better than chance."
    ),
    paper=Paper(
        "Huang, Geng and Li (2021), On the importance of gradients for detecting distributional "
        "shifts in the wild",
        "https://arxiv.org/abs/2110.00218",
    ),
    linear=True,
)
def gradient_norm(
    logits: Float[Tensor, "n c"], features: Float[Tensor, "n d"], /
) -> Float[Tensor, " n"]:
    r"""Minus the L1 norm of the gradient of the cross-entropy from uniform, by the head's weight.

    .. math::
        \lVert \nabla_W\, \mathrm{KL}(u \,\Vert\, p(x)) \rVert_1
        = \lVert z \rVert_1 \, \lVert p(x) - u \rVert_1

    with features :math:`z`, softmax :math:`p` and :math:`u_k = 1 / c`.
    """
    apart = logits.double().softmax(dim=-1) - 1 / logits.shape[-1]
    return -features.abs().sum(dim=-1, dtype=torch.double) * apart.abs().sum(dim=-1)
