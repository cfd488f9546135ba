"""Virtual-logit matching (ViM): features outside the directions of training, against the logits."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from offmap.measure import Paper
from offmap.score import Known, score
from offmap.scores.head import free_energy, last_layer

ROUNDING = 1e-6  # of the root-mean-square length; features vary less by rounding alone
MATRICES = 4  # of d x d float64, that the fit holds at once: moments, axes, and room to find them


def _fit(known: Known, *, dimension: int | None = None) -> dict[str, Tensor]:
    """Origin, residual directions and the factor that makes their length comparable to logits.

    Args:
        known: Training data and the network's answers.
        dimension: How many directions are principal, all others residual. None: 1000 where training
            features fill 2048 or more, 512 from 768 on, half of them below.

    Raises:
        ValueError: If moments of the features exceed the memory, features are not finite, leave no
            residuals, or the largest logits are negative.
    """
    assert known.features is not None
    state = last_layer(known)
    weight, bias = state["weight"].double(), state["bias"].double()
    origin = -torch.linalg.pinv(weight) @ bias
    residual = _residual(_moment(known, origin), dimension)
    length = largest = 0.0
    for chunk in known.features.chunks():
        rows = chunk.double()
        length += ((rows - origin) @ residual).norm(dim=1).sum().item()
        largest += functional.linear(rows, weight, bias).amax(dim=1).sum().item()
    if largest <= 0:
        raise ValueError(
            "expected largest logits that are positive on average over training data, got "
            f"{largest / len(known.features):g}: nothing to match a virtual logit with"
        )
    return {**state, "origin": origin, "residual": residual * (largest / length)}


def _moment(known: Known, origin: Float[Tensor, " d"]) -> Float[Tensor, "d d"]:
    """Sum over training features of the outer products of their ways from the origin.

    Raises:
        ValueError: If it takes too much memory, or features are not finite.
    """
    assert known.features is not None
    d, layer = known.features.dimension, known.features.layer
    room = MATRICES * 8 * d * d
    if room > known.memory:
        raise ValueError(
            f"expected room for second moments of {d:,} features at {layer!r}, {room:,} bytes, got "
            f"a memory budget of {known.memory:,}: raise memory, or take another score"
        )
    moment = torch.zeros(d, d, dtype=torch.double)
    for chunk in known.features.chunks():
        rows = chunk.double() - origin
        moment.addmm_(rows.T, rows)
    if not bool(moment.isfinite().all()):
        raise ValueError(f"expected finite features at {layer!r}, got NaN or infinity")
    return moment


def _residual(moment: Float[Tensor, "d d"], dimension: int | None) -> Float[Tensor, "d m"]:
    """Orthonormal directions outside the principal ones.

    Raises:
        ValueError: If the dimension is none, or training features would have no residual.
    """
    square, axes = torch.linalg.eigh(moment)  # ascending
    filled = int((square > ROUNDING**2 * square.sum()).sum())
    principal = _principal(filled) if dimension is None else dimension
    if not 1 <= principal < filled:
        raise ValueError(
            f"expected a dimension of at least 1 and below {filled}, the number of directions that "
            f"training features fill, got {principal}"
        )
    return axes[:, : len(square) - principal]


def _principal(filled: int) -> int:
    """The paper's number of principal directions, by how many features there are to speak of."""
    if filled >= 2048:
        return 1000
    return 512 if filled >= 768 else filled // 2


@score(
    fit=_fit,
    says="How long the part of the features is that lies outside the main directions of training "
    "data, set against the evidence for the known classes.",
    caution=(
        "Only directions that training data leaves nearly empty tell strangers: in narrow layers "
        "there are few of them."
    ),
    paper=Paper(
        "Wang, Li, Feng and Zhang (2022), ViM: Out-of-distribution with virtual-logit matching",
        "https://arxiv.org/abs/2203.10807",
    ),
    linear=True,
)
def virtual_logit(
    features: Float[Tensor, "n d"],
    /,
    weight: Float[Tensor, "c d"],
    bias: Float[Tensor, " c"],
    origin: Float[Tensor, " d"],
    residual: Float[Tensor, "d m"],
) -> Float[Tensor, " n"]:
    r"""Length of the residual, scaled to the size of a logit, plus the energy.

    .. math:: \alpha \lVert (z - o)^\perp \rVert_2 - \log \sum_k e^{l_k}, \qquad o = -W^+ b

    `residual` holds the directions times :math:`\alpha`, the mean largest logit over the mean
    residual of training data.
    """
    # In float64: for networks at the end of training the residual is a small part of the features.
    virtual = ((features.double() - origin) @ residual).norm(dim=-1)
    return virtual + free_energy(functional.linear(features, weight, bias))
