"""The exact Lipschitz constant of a small piecewise linear network: every region, by itself."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64
from scipy.optimize import linprog
from torch import Tensor

from offmap.numerics.lipschitz.activations import Activation
from offmap.numerics.lipschitz.graph import Graph
from offmap.numerics.lipschitz.norms import matrix_bound
from offmap.numerics.lipschitz.operators import Affine, Sum

__all__ = ["bends", "exact_bound"]

THIN = 1e-9  # radius of the largest ball in a region below which it counts as empty


@dataclass(frozen=True, slots=True, eq=False)
class _Region:
    """Where all bends so far have one sign.

    Args:
        normals: Of the half-spaces `normals x <= limits` that bound it.
        limits: Of the same.
        inside: A point well inside.
        values: The network's values as affine functions of the input, one matrix [d + 1, n] a node.
    """

    normals: Float64[Tensor, "k d"]
    limits: Float64[Tensor, " k"]
    inside: Float64[Tensor, " d"]
    values: tuple[Float64[Tensor, "d1 _"], ...]


def bends(graph: Graph) -> int | None:
    """How many numbers of a network pass a kink; None if it is not piecewise linear."""
    total = 0
    for node in graph.nodes[1:]:
        if isinstance(node.step, Activation):
            if node.step.kink is None:
                return None
            total += math.prod(node.shape)
        elif not isinstance(node.step, Affine | Sum):
            return None
    return total


def exact_bound(
    graph: Graph,
    low: Float[Tensor, " d"] | None = None,
    high: Float[Tensor, " d"] | None = None,
    *,
    most: int = 4096,
) -> float:
    """The Lipschitz constant of a piecewise linear network: the largest norm of a linear piece.

    A region is cut by the kink of one neuron after another; a linear program says whether there is
    room on the other side (Serra et al. 2018, https://arxiv.org/abs/1711.02114). Regions thinner
    than 1e-9 are passed over.

    Args:
        graph: Of affine maps, sums, and activations with a kink.
        low: Corner of the box to look at, the input flattened; None: everywhere.
        high: The opposite corner.
        most: Regions up to which to go on.

    Raises:
        ValueError: If the network is not piecewise linear, or has more regions.
    """
    if bends(graph) is None:
        raise ValueError("expected affine layers and activations with a kink, got others")
    top = 0.0
    for count, region in enumerate(_regions(graph, _start(graph, low, high))):
        if count >= most:
            raise ValueError(f"expected at most {most} linear regions, got more")
        top = max(top, matrix_bound(region.values[-1][:-1]).item())
    return top


def _start(graph: Graph, low: Tensor | None, high: Tensor | None) -> _Region:
    """The box, or the whole space."""
    d = math.prod(graph.nodes[0].shape)
    eye = torch.eye(d, dtype=torch.double)
    whole = torch.cat([eye, torch.zeros(1, d, dtype=torch.double)])  # the input itself [d + 1, d]
    if low is None or high is None:
        zero = torch.zeros(d, dtype=torch.double)
        return _Region(eye[:0], zero[:0], zero, (whole,))
    low, high = low.double(), high.double()
    return _Region(torch.cat([-eye, eye]), torch.cat([-low, high]), (low + high) / 2, (whole,))


def _regions(graph: Graph, region: _Region) -> Iterator[_Region]:
    """Every region that the network cuts a region into, with all of its values."""
    place = len(region.values)
    if place == len(graph.nodes):
        yield region
        return
    node = graph.nodes[place]
    given = [region.values[parent] for parent in node.parents]
    if isinstance(node.step, Activation):
        assert node.step.kink is not None
        for part, above in _cut(region, given[0]):
            left, right = node.step.kink
            slopes = torch.where(above, torch.full_like(given[0][0], right), left)
            yield from _regions(graph, _grown(part, slopes * given[0]))
        return
    if isinstance(node.step, Affine):
        shape = graph.nodes[node.parents[0]].shape
        value = node.step.linear(given[0].view(-1, *shape))
        if node.step.bias is not None:
            value[-1] += node.step.bias
        yield from _regions(graph, _grown(region, value.flatten(1)))
    else:
        yield from _regions(graph, _grown(region, given[0] + given[1]))


def _grown(region: _Region, value: Tensor) -> _Region:
    return _Region(region.normals, region.limits, region.inside, (*region.values, value))


def _cut(region: _Region, value: Float64[Tensor, "d1 n"]) -> Iterator[tuple[_Region, Tensor]]:
    """The parts of a region in which no number of `value` changes sign, and which are positive."""
    parts: list[tuple[_Region, list[bool]]] = [(region, [])]
    for column in value.T:
        normal, shift = column[:-1], column[-1]
        length = normal.norm()
        split: list[tuple[_Region, list[bool]]] = []
        for part, signs in parts:
            if length <= THIN:
                split.append((part, [*signs, bool(shift > 0)]))
                continue
            for positive in (False, True):
                sign = -1.0 if positive else 1.0  # normal x + shift <= 0 where negative
                side = _side(part, sign * normal / length, -sign * shift / length)
                if side is not None:
                    split.append((side, [*signs, positive]))
        parts = split
    for part, signs in parts:
        yield part, torch.tensor(signs)


def _side(region: _Region, normal: Tensor, limit: Tensor) -> _Region | None:
    """The part of a region where `normal x <= limit`; None if it has no room."""
    normals = torch.cat([region.normals, normal[None]])
    limits = torch.cat([region.limits, limit[None]])
    room = limit - normal @ region.inside
    if room > math.sqrt(THIN):  # the point that is inside the whole is well inside the part
        return _Region(normals, limits, region.inside, region.values)
    inside = _middle(normals, limits)
    return None if inside is None else _Region(normals, limits, inside, region.values)


def _middle(normals: Float64[Tensor, "k d"], limits: Float64[Tensor, " k"]) -> Tensor | None:
    """The center of a largest ball of radius 1 at most, in half-spaces of unit normals."""
    d = normals.shape[1]
    found = linprog(
        np.r_[np.zeros(d), -1.0],
        A_ub=torch.cat([normals, torch.ones_like(normals[:, :1])], dim=1).numpy(),
        b_ub=limits.numpy(),
        bounds=[(None, None)] * d + [(None, 1.0)],
        method="highs",
    )
    if not found.success or found.x[-1] <= THIN:
        return None
    return torch.from_numpy(found.x[:-1])
