"""What scores need of a network's head: that it is the last thing the network does."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from offmap.score import Known

ROWS = 256  # training examples on which the head is held against the network's outputs
TOLERANCE = 0.01  # of the spread of the outputs; beyond it something else follows the head
NORMALIZED = 1e-3  # on a sum of probabilities


def last_layer(known: Known) -> dict[str, Tensor]:
    """Weight [c d] and bias [c] of the head, whose outputs are the network's, up to a softmax.

    Raises:
        ValueError: If the network is no classifier, does something else to the head's outputs, or
            has others than these.
    """
    assert known.head is not None and known.features is not None
    if known.logits is None:
        raise ValueError("expected a classifier, got a network of another kind")
    weight = known.head.weight.detach().cpu()
    bias = weight.new_zeros(len(weight)) if known.head.bias is None else known.head.bias
    bias = bias.detach().cpu()
    features = known.features.table.read(0, ROWS)
    logits = known.logits[: len(features)].double()
    if logits.shape[1:] != (len(weight),):
        raise ValueError(
            f"expected a head with an output for each class, got {len(weight)} outputs of "
            f"{known.features.layer!r} for {logits.shape[-1]} classes: set feature_layer"
        )
    said = functional.linear(features.to(weight.dtype), weight, bias).double()
    # Log-softmax behind the head moves a row as a whole, and a softmax does not notice.
    apart = (said - said.mean(dim=1, keepdim=True)) - (logits - logits.mean(dim=1, keepdim=True))
    if bool(apart.abs().max() > TOLERANCE * said.std(correction=0)):
        raise ValueError(
            f"expected the network's outputs from its head {known.features.layer!r}, got others: "
            "what it does to them behind the head is unknown to this score"
        )
    return {"weight": weight, "bias": bias}


def raw_logits(known: Known) -> dict[str, Tensor]:
    """No state, where the network's outputs are logits.

    Raises:
        ValueError: If they are probabilities or their logarithms: how much evidence there was in
            all, a softmax does not tell.
    """
    assert known.logits is not None
    logits = known.logits.double()
    total = logits.sum(dim=1) if bool((logits >= 0).all()) else logits.logsumexp(dim=1).exp()
    if bool(((total - 1).abs() <= NORMALIZED).all()):
        raise ValueError(
            "expected logits, got outputs that a softmax has made into (logarithms of) "
            "probabilities: let the network end before it"
        )
    return {}


def free_energy(logits: Float[Tensor, "n c"]) -> Float[Tensor, " n"]:
    """Minus the log-sum-exp of the logits, in nats."""
    return -logits.double().logsumexp(dim=-1)


def log_others(logits: Float[Tensor, "n c"]) -> Float[Tensor, " n"]:
    """Logarithm of the probability of all classes but the likeliest one, however small it is."""
    logits = logits.double()
    best = logits.argmax(dim=-1, keepdim=True)
    others = logits.scatter(-1, best, -torch.inf)
    return others.logsumexp(dim=-1) - logits.logsumexp(dim=-1)
