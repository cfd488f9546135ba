"""Bounds that hold within a ball around an input: the network is flatter there than everywhere."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float64, Int, Shaped
from torch import Tensor, nn

from offmap.numerics.lipschitz.forms import Form, forms, linearized
from offmap.numerics.lipschitz.graph import Graph
from offmap.numerics.lipschitz.norms import SLACK, matrix_bound
from offmap.numerics.lipschitz.tracing import read_graph
from offmap.numerics.lipschitz.whole import pair_bounds

__all__ = ["certified_radius", "local_bound", "local_margin_bound"]

COLUMNS = 256  # numbers of an input up to which linear forms pay
BLOCK_BYTES = 2**25  # of numbers held at once for a group of balls


@dataclass(frozen=True, slots=True, eq=False)
class _Ball:
    """What is known of the output over m balls.

    Args:
        rate: Bound on its Lipschitz constant [m].
        value: Of its linear form at the centers [m c].
        jacobian: Of the linear form [m c d].
        errors: For each nonlinear node, how much of each error arrives at each output [m c k],
            and the sizes of the errors [m k].
    """

    rate: Float64[Tensor, " m"]
    value: Float64[Tensor, "m c"]
    jacobian: Float64[Tensor, "m c d"]
    errors: list[tuple[Float64[Tensor, "m c _"], Float64[Tensor, "m _"]]]


def local_bound(
    model: nn.Module | Graph,
    centers: Shaped[Tensor, "m ..."],
    radius: Shaped[Tensor, " m"],
) -> Float64[Tensor, " m"]:
    r"""An upper bound on the Lipschitz constant of a network over each L2 ball.

    Over the ball every activation has a known range of slopes, about a middle one. With the middle
    slopes the network is linear, with Jacobian A. The true Jacobian differs by, for each
    nonlinear layer k, the middle Jacobian P of what follows, times the deviation E of its slopes,
    times the true Jacobian Z of what precedes (one layer after another is replaced):

    .. math:: \lVert J \rVert \le \lVert A \rVert + \sum_k \lVert P_k E_k Z_k \rVert

    It is never above `global_bound`, and at radius 0 it is the norm of the Jacobian.

    Args:
        model: In evaluation mode, or its graph.
        centers: Of the balls; any number of outputs is handled, each costs a pass.
        radius: Of the balls, in L2; not negative.

    Raises:
        ValueError: If a layer is of a kind that no bound is known for, or a radius is negative.
    """
    graph = _graph(model, centers)
    return torch.cat([ball.rate for _, ball in _balls(graph, centers, radius)])


def local_margin_bound(
    model: nn.Module | Graph,
    centers: Shaped[Tensor, "m ..."],
    radius: Shaped[Tensor, " m"],
    classes: Int[Tensor, " m"],
) -> Float64[Tensor, " m"]:
    """How far within each ball the output of a class certainly stays above all others.

    A radius, at most that of the ball. The linear form of f_i - f_j at the center, less the
    radius times the length of its gradient, less all errors over the ball, bounds it from below.

    Args:
        model: In evaluation mode, with outputs [n c], or its graph.
        centers: Of the balls.
        radius: Of the balls, in L2.
        classes: The class to stay, for each center.

    Returns:
        The certified radius around each center; 0 where nothing is certified.

    Raises:
        ValueError: If a layer is of a kind that no bound is known for, or a radius is negative.
    """
    graph = _graph(model, centers)
    found = []
    for rows, ball in _balls(graph, centers, radius):
        own = classes[rows].to(centers.device)
        ahead = _against(own, ball.value)
        for arriving, size in ball.errors:
            ahead = ahead - (_against(own, arriving).abs() * size[:, None]).sum(dim=2)
        steep = _against(own, ball.jacobian).norm(dim=2) * (1 + SLACK)
        room = ahead - SLACK * ball.value.abs().amax(dim=1, keepdim=True)
        reach = (room / steep.clamp_min(torch.finfo(torch.double).tiny)).clamp_min(0)
        reach = reach.scatter(1, own[:, None], math.inf).amin(dim=1)
        found.append(torch.minimum(reach, radius[rows].double()))
    return torch.cat(found)


def certified_radius(
    model: nn.Module | Graph,
    centers: Shaped[Tensor, "m ..."],
    limit: Shaped[Tensor, " m"],
    *,
    steps: int = 4,
) -> Float64[Tensor, " m"]:
    """The largest radius found within which the predicted class certainly stays.

    Starts from the margin over the bounds of `margin_bounds`, which hold everywhere, and looks for
    a larger one between it and `limit` with `local_margin_bound`: balls too large prove nothing,
    balls too small prove little, so the size is found by bisection of its logarithm.

    Args:
        model: In evaluation mode, with outputs [n c], or its graph.
        centers: Inputs.
        limit: For each a radius at which the class is known to change, or that is of interest.
        steps: Balls tried for each.

    Raises:
        ValueError: If a layer is of a kind that no bound is known for, or the output is not [n c].
    """
    graph = _graph(model, centers)
    with torch.no_grad():
        scores = graph(centers)
    classes = scores.argmax(dim=1)
    rates = pair_bounds(graph).to(scores.device)[classes]
    room = (_against(classes, scores) - SLACK * scores.abs().amax(dim=1, keepdim=True)).clamp_min(0)
    reach = room / rates.clamp_min(torch.finfo(torch.double).tiny)
    best = reach.scatter(1, classes[:, None], math.inf).amin(dim=1)
    low, high = torch.minimum(best, limit.double()), limit.double()
    for _ in range(steps):
        middle = (low.clamp_min(1e-6 * high) * high).sqrt()
        found = local_margin_bound(graph, centers, middle, classes)
        best = torch.maximum(best, found)
        proved = found >= middle * (1 - SLACK)
        low, high = (
            torch.where(proved, middle, torch.maximum(low, found)),
            torch.where(proved, high, middle),
        )
    return best


def _graph(model: nn.Module | Graph, centers: Tensor) -> Graph:
    return model if isinstance(model, Graph) else read_graph(model, centers[:1])


def _against(
    own: Int[Tensor, " m"], values: Float64[Tensor, "m c *k"]
) -> Float64[Tensor, "m c *k"]:
    """The value of one's own class less that of every class."""
    return values[torch.arange(len(own), device=own.device), own][:, None] - values


def _balls(graph: Graph, centers: Tensor, radius: Tensor) -> Iterator[tuple[Tensor, _Ball]]:
    """Rows, and what is known of the output over their balls; as many as fit in memory.

    Raises:
        ValueError: If a radius is negative.
    """
    if bool((radius < 0).any()):
        raise ValueError(f"expected radii >= 0, got {radius.min().item():g}")
    dimension = centers[0].numel()
    columns = dimension <= COLUMNS
    numbers = sum(math.prod(node.shape) for node in graph.nodes)
    copies = dimension if columns else 8
    outputs = math.prod(graph.nodes[-1].shape)
    size = max(1, BLOCK_BYTES // (8 * numbers * (copies + outputs)))
    for rows in torch.arange(len(centers), device=centers.device).split(size):
        yield rows, _ball(graph, centers[rows], radius[rows].double(), columns)


def _ball(graph: Graph, centers: Tensor, radius: Tensor, columns: bool) -> _Ball:
    with torch.no_grad():
        known = forms(graph, centers, radius, columns=columns)
    relaxed = [place for place, form in enumerate(known) if form.relaxation is not None]
    jacobian, arriving = _arriving(graph, known, relaxed)
    rate = matrix_bound(jacobian)
    errors = []
    with torch.no_grad():
        for place, effect in zip(relaxed, arriving, strict=True):
            relaxation, before = known[place].relaxation, known[graph.nodes[place].parents[0]]
            assert relaxation is not None
            rate = rate + _deviation(
                effect, relaxation.spread.flatten(1), before, relaxation.slope is not None
            )
            errors.append((effect, relaxation.width.flatten(1)))
        last = known[-1]
        rate = torch.minimum(rate, last.rate).clamp_max(graph.reach[-1]) * (1 + SLACK)
    return _Ball(rate, last.offset.flatten(1), jacobian, errors)


def _arriving(
    graph: Graph, known: list[Form], relaxed: list[int]
) -> tuple[Float64[Tensor, "m c d"], list[Float64[Tensor, "m c _"]]]:
    """How the outputs of the linear form depend on the input, and on what relaxed nodes add."""
    start = torch.zeros_like(known[0].center, requires_grad=True)
    added: list[Tensor] = []
    values = [start]
    with torch.enable_grad():
        for place, node in enumerate(graph.nodes[1:], start=1):
            given = [values[parent] for parent in node.parents]
            value = linearized(node, known[place].relaxation, given)
            if place in relaxed:
                added.append(torch.zeros_like(value, requires_grad=True))
                value = value + added[-1]
            values.append(value)
        out = values[-1].flatten(1)
        rows = [
            torch.autograd.grad(out[:, j].sum(), (start, *added), retain_graph=True)
            for j in range(out.shape[1])
        ]
    first, *others = (
        torch.stack([r.flatten(1) for r in part], dim=1) for part in zip(*rows, strict=True)
    )
    return first, others


def _deviation(
    effect: Float64[Tensor, "m c k"],
    spread: Float64[Tensor, "m k"],
    before: Form,
    activation: bool,
) -> Float64[Tensor, " m"]:
    """Bound on the norm of P E Z: effect, deviation of the slopes, true Jacobian of before."""
    reach = effect * spread[:, None]
    gain = matrix_bound(reach)
    if before.columns is None:
        return gain * before.rate
    columns = before.columns.flatten(2)
    if not activation:  # windows of a maximum do not line up with what they are taken from
        return gain * torch.minimum(matrix_bound(columns) + before.excess, before.rate)
    columns = columns * (spread > 0)[:, None]
    apart = matrix_bound(reach.abs() @ columns.abs().mT)
    return torch.minimum(
        torch.minimum(apart, gain * matrix_bound(columns)) + gain * before.excess,
        gain * before.rate,
    )
