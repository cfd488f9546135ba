"""Activation shaping (ASH-S): the lowest features pruned, the rest amplified; then the energy."""

from jaxtyping import Float
from torch import Tensor

from offmap.measure import Paper
from offmap.score import Known, score
from offmap.scores.head import free_energy
from offmap.scores.shaping import prune, rectified_head


def _fit(known: Known, *, pruned: float = 0.9) -> dict[str, Tensor]:
    """The head; features are checked."""
    return rectified_head(known, pruned=pruned)


@score(
    fit=_fit,
    says="The energy after each row has lost its lowest features, and the rest has been amplified "
    "the more, the less their sum stands out.",
    caution=(
        "It needs features that are nowhere negative, and was made for wide layers of networks "
        "trained on a thousand classes; with few features or classes pruning most of them can "
        "cost more than it gains."
    ),
    paper=Paper(
        "Djurisic, Bozanic, Ashok and Liu (2023), Extremely simple activation shaping for "
        "out-of-distribution detection",
        "https://arxiv.org/abs/2209.09858",
    ),
    linear=True,
)
def ash(
    features: Float[Tensor, "n d"],
    /,
    weight: Float[Tensor, "c d"],
    bias: Float[Tensor, " c"],
    *,
    pruned: float = 0.9,
) -> Float[Tensor, " n"]:
    r"""Energy of the head's logits for the features that are left, times :math:`e^{s_1 / s_2}`.

    :math:`s_1` is the sum of all features, :math:`s_2` that of those that are left.

    Args:
        features: Inputs of the head.
        weight: Of the head.
        bias: Of the head.
        pruned: Share of a row's features that is set to zero, the lowest ones.
    """
    kept, ratio = prune(features, pruned)
    return free_energy(ratio.exp() * (kept @ weight.T).double() + bias)
