"""How far are the inputs from the middle of training?"""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from offmap.measure import Paper
from offmap.score import Known, score


def _fit(known: Known) -> dict[str, Tensor]:
    total = sum(chunk.double().sum(dim=0) for chunk in known.inputs.chunks())
    return {"middle": torch.as_tensor(total) / len(known.inputs)}


@score(
    fit=_fit,
    says="The distance from the mean of the training inputs.",
    caution="Data that lies around a hole has its mean in the hole.",
    paper=Paper("Euclid", "https://en.wikipedia.org/wiki/Euclidean_distance"),
)
def toy_score(
    inputs: Shaped[Tensor, "n ..."], /, middle: Float[Tensor, "..."], *, scale: float = 1.0
) -> Float[Tensor, " n"]:
    """Euclidean distance from the mean of the training inputs.

    Args:
        inputs: Anything with a mean.
        middle: That mean.
        scale: What the distance is multiplied by.
    """
    return scale * (inputs.double() - middle).flatten(1).norm(dim=1)
