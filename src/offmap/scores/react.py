"""Features clipped at a height that training rarely exceeds (ReAct); then the energy."""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from offmap.measure import Paper
from offmap.numerics.quantile import streamed_quantile
from offmap.score import Known, score
from offmap.scores.head import free_energy, last_layer


def _fit(known: Known, *, share: float = 0.9) -> dict[str, Tensor]:
    """The head, and the height below which a share of all training features lies, exactly.

    Args:
        known: Training data and the network's answers.
        share: Of the training features, taken all together, that clipping leaves as they are.

    Raises:
        ValueError: If share is none, or clipping would leave nothing.
    """
    if not 0 < share < 1:
        raise ValueError(f"expected share between 0 and 1, got {share:g}")
    assert known.features is not None
    lowest, ceiling = streamed_quantile(known.features.chunks, (0.0, share))
    if ceiling <= lowest:
        raise ValueError(
            f"expected features that differ below the ceiling, got {lowest.item():g} for a share "
            f"of {share:g} of them at the input of {known.features.layer!r}: set share higher"
        )
    return {**last_layer(known), "ceiling": ceiling}


@score(
    fit=_fit,
    says="The energy after features have been clipped at a height that training rarely exceeds.",
    caution=(
        "It helps where strangers drive a few features very high; where they do not, clipping only "
        "takes from what the network knows."
    ),
    paper=Paper(
        "Sun, Guo and Li (2021), ReAct: Out-of-distribution detection with rectified activations",
        "https://arxiv.org/abs/2111.12797",
    ),
    linear=True,
)
def react(
    features: Float[Tensor, "n d"],
    /,
    weight: Float[Tensor, "c d"],
    bias: Float[Tensor, " c"],
    ceiling: Float[Tensor, ""],
) -> Float[Tensor, " n"]:
    """Energy of the head's logits for features clipped from above at the ceiling."""
    return free_energy(functional.linear(features.minimum(ceiling), weight, bias))
