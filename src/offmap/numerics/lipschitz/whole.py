"""Bounds that hold for all inputs: products of norms."""

import math

import torch
from jaxtyping import Float64, Shaped
from torch import Tensor, nn

from offmap.numerics.lipschitz.graph import Graph
from offmap.numerics.lipschitz.norms import SLACK
from offmap.numerics.lipschitz.operators import Linear
from offmap.numerics.lipschitz.tracing import read_graph

__all__ = ["global_bound", "margin_bounds", "pair_bounds"]


def global_bound(model: nn.Module, example: Shaped[Tensor, "1 *shape"]) -> float:
    r"""An upper bound on the Lipschitz constant of a network, from L2 to L2, for all inputs.

    The product over layers of the norms of their weights, batch normalization taken into the
    weights, and of the largest slopes of the activations; where branches are added, their sum
    (Szegedy et al. 2014, https://arxiv.org/abs/1312.6199, section 4.3). It holds for the network
    in exact numbers: the rounding of its own float32 is not in it.

    Args:
        model: In evaluation mode.
        example: One input, for its shape, type and device.

    Raises:
        ValueError: If a layer is of a kind that no bound is known for; it names the layer.
    """
    return read_graph(model, example).reach[-1]


def margin_bounds(model: nn.Module, example: Shaped[Tensor, "1 *shape"]) -> Float64[Tensor, "c c"]:
    r"""Upper bounds on the Lipschitz constants of f_i - f_j, for all inputs.

    The rest of the network times the distance of rows i and j of its last matrix; at most
    sqrt(2) times the bound on all of f, which serves where the last layer is no matrix. So a
    prediction cannot change within min_j (f_i - f_j) / bounds[i, j] of an input with class i.

    Args:
        model: In evaluation mode, with outputs [n c].
        example: One input, for its shape, type and device.

    Returns:
        Symmetric, zero on the diagonal.

    Raises:
        ValueError: If a layer is of a kind that no bound is known for, or the output is not [n c].
    """
    return pair_bounds(read_graph(model, example))


def pair_bounds(graph: Graph) -> Float64[Tensor, "c c"]:
    """`margin_bounds` of a graph.

    Raises:
        ValueError: If the output of the graph is not [n c].
    """
    last = graph.nodes[-1]
    if len(last.shape) != 1:
        raise ValueError(f"expected outputs [n c], got [n {' '.join(map(str, last.shape))}]")
    classes = last.shape[0]
    most = math.sqrt(2) * graph.reach[-1]
    bounds = torch.full((classes, classes), most, dtype=torch.double)
    if isinstance(last.step, Linear):
        rows = last.step.weight.cpu()
        apart = (rows[:, None] - rows[None]).norm(dim=-1)
        bounds = bounds.clamp_max(graph.reach[last.parents[0]] * apart)
    return (bounds * (1 + SLACK)).fill_diagonal_(0.0)
