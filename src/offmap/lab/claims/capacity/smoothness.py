"""How smooth trained networks are around pictures that they have not seen."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from offmap.lab.claims.capacity.training import Networks


class Smoothness(NamedTuple):
    """Of every network.

    Args:
        slope: Mean over the inputs of the Frobenius norm of the Jacobian of the scores.
        distance: Median over the inputs of the distance to the nearest boundary between two
            classes, to first order: margin over slope of the margin. Unlike the slope it stays
            when all scores are multiplied, which moves no boundary.
    """

    slope: Float[Tensor, "arms r"]
    distance: Float[Tensor, "arms r"]


def smoothness(networks: Networks, inputs: Float[Tensor, "n d"]) -> Smoothness:
    """Exact, for networks of linear layers with ReLU between them."""
    layers, active = networks.layers, []
    scores = inputs.expand(len(layers[0][0]), -1, -1)
    for place, (weight, bias) in enumerate(layers):
        if place:
            active.append(scores > 0)
            scores = scores.relu()
        scores = torch.baddbmm(bias, scores, weight)
    jacobian = layers[-1][0].transpose(1, 2)[:, None]  # [m 1 k h], in the end [m n k d]
    for (weight, _), on in zip(layers[-2::-1], active[::-1], strict=True):
        gated = jacobian * on[:, :, None]
        jacobian = (gated.flatten(1, 2) @ weight.transpose(1, 2)).unflatten(1, gated.shape[1:3])
    slope = jacobian.square().sum(dim=(2, 3)).sqrt().mean(dim=1)
    place = scores.argmax(dim=2, keepdim=True)
    lead = scores.gather(2, place) - scores  # [m n k], zero for the class that is first
    best = jacobian.gather(2, place[..., None].expand(-1, -1, 1, jacobian.shape[3]))
    lead = lead.scatter(2, place, torch.inf) / (best - jacobian).norm(dim=3)
    distance = lead.amin(dim=2).median(dim=1).values
    return Smoothness(*(v.unflatten(0, (networks.arms, -1)) for v in (slope, distance)))
