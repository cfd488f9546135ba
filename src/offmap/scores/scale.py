"""Features amplified by how much their largest ones stand out (SCALE); then the energy."""

from jaxtyping import Float
from torch import Tensor

from offmap.measure import Paper
from offmap.score import Known, score
from offmap.scores.head import free_energy
from offmap.scores.shaping import prune, rectified_head


def _fit(known: Known, *, pruned: float = 0.85) -> dict[str, Tensor]:
    """The head; features are checked."""
    return rectified_head(known, pruned=pruned)


@score(
    fit=_fit,
    says="The energy after each row's features have been amplified the more, the less the largest "
    "of them stand out.",
    caution=(
        "It needs features that are nowhere negative. The factor is exponential: on layers with "
        "few or mostly zero features it is the same for all inputs, or says more than the logits."
    ),
    paper=Paper(
        "Xu, Chen, Franchi and Yao (2024), Scaling for training time and post-hoc "
        "out-of-distribution detection enhancement",
        "https://arxiv.org/abs/2310.00227",
    ),
    linear=True,
)
def scale(
    features: Float[Tensor, "n d"],
    /,
    weight: Float[Tensor, "c d"],
    bias: Float[Tensor, " c"],
    *,
    pruned: float = 0.85,
) -> Float[Tensor, " n"]:
    r"""Energy of the head's logits for all features times :math:`e^{s_1 / s_2}`.

    :math:`s_1` is the sum of all features, :math:`s_2` that of those that pruning would leave.

    Args:
        features: Inputs of the head.
        weight: Of the head.
        bias: Of the head.
        pruned: Share of a row's features, the lowest ones, that :math:`s_2` leaves out.
    """
    _, ratio = prune(features, pruned)
    return free_energy(ratio.exp() * (features @ weight.T).double() + bias)
