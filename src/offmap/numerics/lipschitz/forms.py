"""What is known of every number in a network when the input may move within a ball.

For each node, three things are carried forward, and where they meet the best one counts:

- intervals (Gowal et al. 2018, https://arxiv.org/abs/1810.12715);
- rates: the node's vector moves by at most its rate times the step of the input;
- linear forms, for inputs of few numbers: the value at center + d is offset + columns d, up to
  an error for each number (Singh et al. 2018, the relaxation of Weng et al. 2018,
  https://arxiv.org/abs/1804.09699). The columns are also near to the Jacobian, wherever in the
  ball it is taken: their difference has a norm of at most `excess`.

A form that is wrong by rounding would prove what is false: intervals are widened by more than the
rounding of float64.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float64, Int, Shaped
from torch import Tensor

from offmap.numerics.lipschitz.activations import Activation
from offmap.numerics.lipschitz.graph import Graph, Node
from offmap.numerics.lipschitz.norms import matrix_bound
from offmap.numerics.lipschitz.operators import Affine, Maximum, Sum

__all__ = ["Form", "Relaxation", "forms", "linearized"]

ROUNDING = 1e-11  # of the sizes that are added up in a sum of less than 10^4 numbers


class Relaxation(NamedTuple):
    """A nonlinear node as a linear one: of the value, up to `width`; of the slope, up to `spread`.

    The linear map multiplies by `slope`, or where it is None takes the number that is `chosen` in
    each window.
    """

    slope: Float64[Tensor, "m *shape"] | None
    chosen: Int[Tensor, "m c 1 p q"] | None
    width: Float64[Tensor, "m *shape"]
    spread: Float64[Tensor, "m *shape"]


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """What is known of a node over m balls.

    Args:
        center: Its value at the centers.
        low: Least value in the ball.
        high: Largest value in the ball.
        rate: Lipschitz constant of the whole vector over the ball, from above.
        offset: Value of the linear form at the centers.
        columns: Of the linear form, one for each number of the input; m or 1 of them. None: the
            input has too many numbers.
        error: How far the value is from the linear form.
        excess: How far in norm the Jacobian is from the columns.
        relaxation: Of a nonlinear node.
    """

    center: Float64[Tensor, "m *shape"]
    low: Float64[Tensor, "m *shape"]
    high: Float64[Tensor, "m *shape"]
    rate: Float64[Tensor, " m"]
    offset: Float64[Tensor, "m *shape"]
    columns: Float64[Tensor, "mm d *shape"] | None
    error: Float64[Tensor, "m *shape"]
    excess: Float64[Tensor, " m"]
    relaxation: Relaxation | None = None


def forms(
    graph: Graph,
    centers: Shaped[Tensor, "m ..."],
    radius: Float64[Tensor, " m"],
    *,
    columns: bool,
) -> list[Form]:
    """What is known of every node over the ball of each radius around each center.

    Args:
        graph: The network.
        centers: Inputs.
        radius: Of the ball around each.
        columns: Whether to carry linear forms: as many passes as the input has numbers.
    """
    x = centers.double()
    step = _spread(radius, x)
    one = torch.ones_like(radius)
    eye = torch.eye(x[0].numel(), dtype=torch.double, device=x.device) if columns else None
    first = Form(
        x, x - step, x + step, one, x,
        None if eye is None else eye.view(1, -1, *x.shape[1:]),
        torch.zeros_like(x), torch.zeros_like(one),
    )  # fmt: skip
    found = [first]
    for place, node in enumerate(graph.nodes[1:], start=1):
        given = [found[parent] for parent in node.parents]
        match node.step:
            case Affine():
                found.append(_affine(node, node.step, given[0], radius, graph.rates[place]))
            case Activation():
                found.append(_activation(node.step, given[0], radius))
            case Maximum():
                found.append(_maximum(node.step, given[0], radius))
            case _:
                found.append(_sum(given[0], given[1], radius))
    return found


def linearized(
    node: Node, relaxation: Relaxation | None, values: list[Tensor]
) -> Float64[Tensor, "m ..."]:
    """The linear map of a node, for its relaxation."""
    match node.step:
        case Affine():
            return node.step.linear(values[0])
        case Sum():
            return values[0] + values[1]
    assert relaxation is not None
    if relaxation.slope is not None:
        return relaxation.slope * values[0]
    assert isinstance(node.step, Maximum) and relaxation.chosen is not None
    return node.step.windows(values[0], 0.0).gather(2, relaxation.chosen).squeeze(2)


def _spread(numbers: Float64[Tensor, " m"], like: Tensor) -> Tensor:
    """One number for each example, to be broadcast over its values."""
    return numbers.view(-1, *[1] * (like.ndim - 1))


def _narrowed(form: Form, reach: Tensor, radius: Float64[Tensor, " m"]) -> Form:
    """The form with the best of its intervals, no number moving by more than `reach`."""
    low = torch.maximum(form.low, form.center - reach)
    high = torch.minimum(form.high, form.center + reach)
    if form.columns is not None:
        lengths = form.columns.square().sum(dim=1).sqrt()  # of the rows, one for each number
        around = _spread(radius, lengths) * lengths + form.error
        low = torch.maximum(low, form.offset - around)
        high = torch.minimum(high, form.offset + around)
    # Bounds that are all nearly tight can cross by rounding.
    low, high = torch.minimum(low, high), torch.maximum(low, high)
    return Form(
        form.center, low, high, form.rate, form.offset, form.columns, form.error, form.excess
    )


def _affine(
    node: Node, step: Affine, given: Form, radius: Float64[Tensor, " m"], norm: float
) -> Form:
    largest = torch.maximum(given.low.abs(), given.high.abs())
    rounding = ROUNDING * step.sizes(largest)
    if step.bias is not None:
        rounding = rounding + ROUNDING * step.bias.abs()
    middle, half = (given.low + given.high) / 2, (given.high - given.low) / 2
    image, around = step(middle), step.sizes(half) + rounding
    columns = given.columns
    if columns is not None:
        flat = step.linear(columns.flatten(0, 1))
        columns = flat.view(*columns.shape[:2], *flat.shape[1:])
    rows = step.row_norms(tuple(given.low.shape[1:])).to(given.low.device)
    rate = given.rate * norm
    form = Form(
        step(given.center), image - around, image + around, rate,
        step(given.offset), columns, step.sizes(given.error) + rounding, given.excess * norm,
    )  # fmt: skip
    return _narrowed(form, _spread(radius * given.rate, rows) * rows + rounding, radius)


def _sum(one: Form, other: Form, radius: Float64[Tensor, " m"]) -> Form:
    columns = None
    if one.columns is not None and other.columns is not None:
        columns = one.columns + other.columns
    rounding = ROUNDING * (one.high.abs() + other.high.abs())
    form = Form(
        one.center + other.center,
        one.low + other.low - rounding,
        one.high + other.high + rounding,
        one.rate + other.rate,
        one.offset + other.offset,
        columns,
        one.error + other.error + rounding,
        one.excess + other.excess,
    )
    return _narrowed(form, _spread(radius * form.rate, form.low), radius)


def _activation(step: Activation, given: Form, radius: Float64[Tensor, " m"]) -> Form:
    slope, offset, width = step.band(given.low, given.high)
    least, most = step.slopes(given.low, given.high)
    spread = torch.maximum(slope - least, most - slope).clamp_min(0)
    steepest = torch.maximum(least.abs(), most.abs()).flatten(1).amax(dim=1)
    width = width + ROUNDING * (slope * given.offset).abs()
    low, high = step.image(given.low, given.high)
    rate, excess, columns = steepest * given.rate, given.excess, None
    if given.columns is not None:
        columns = slope[:, None] * given.columns
        # Slopes times true Jacobian - middle slopes times columns = slopes times the difference of
        # the two + the spread of the slopes times the columns.
        excess = steepest * given.excess + _norms(spread[:, None] * given.columns)
        rate = torch.minimum(rate, _norms(columns) + excess)
    return Form(
        step.function(given.center), low, high, rate,
        slope * given.offset + offset, columns, slope.abs() * given.error + width, excess,
        Relaxation(slope, None, width, spread),
    )  # fmt: skip


def _maximum(step: Maximum, given: Form, radius: Float64[Tensor, " m"]) -> Form:
    """The largest of a window as the one that is largest at the center, and what others add."""
    offset, error = step.windows(given.offset, -math.inf), step.windows(given.error, 0.0)
    chosen = offset.argmax(dim=2, keepdim=True)
    ahead = offset - offset.gather(2, chosen) + error + error.gather(2, chosen)
    columns = windows = None
    if given.columns is None:
        low, high = step.windows(given.low, -math.inf), step.windows(given.high, -math.inf)
        ahead = high - low.gather(2, chosen)
    else:
        d = given.columns.shape[1]
        windows = step.windows(given.columns.flatten(0, 1), 0.0)
        windows = windows.view(-1, d, *windows.shape[1:]).expand(len(chosen), *[-1] * 5)
        columns = windows.gather(3, chosen[:, None].expand(-1, d, *chosen.shape[1:]))
        apart = (windows - columns).square().sum(dim=1).sqrt()
        ahead = ahead + _spread(radius, apart) * apart
    ahead = ahead.scatter(2, chosen, 0.0)
    over = ahead.amax(dim=2).clamp_min(0)  # by how much another may be larger
    open_ = over > 0
    excess = given.excess
    if columns is not None and windows is not None:
        # The Jacobian's row is an average of rows of the window; it differs from the chosen one
        # by a vector of weights no longer than the root of 2, on rows that may win.
        wins = ((ahead > 0) & open_[:, :, None]).scatter(2, chosen, open_[:, :, None])
        excess = step.lipschitz * given.excess + math.sqrt(2) * _norms(windows * wins[:, None])
        columns = columns.squeeze(3)
    rate = step.lipschitz * given.rate
    return Form(
        step(given.center), step(given.low), step(given.high), rate,
        offset.gather(2, chosen).squeeze(2) + over / 2,
        columns,
        error.gather(2, chosen).squeeze(2) + over / 2,
        excess,
        Relaxation(None, chosen, over / 2, open_.double() * math.sqrt(2) * step.lipschitz),
    )  # fmt: skip


def _norms(columns: Float64[Tensor, "m d *shape"]) -> Float64[Tensor, " m"]:
    return matrix_bound(columns.flatten(2))
