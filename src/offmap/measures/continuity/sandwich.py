"""What is proved of a classifier's answers and rates around some inputs, and what was found."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from offmap.estimate import Estimate, exact, quantile
from offmap.numerics.lipschitz import (
    Graph,
    UnboundedError,
    ascent_bound,
    bends,
    certified_radius,
    exact_bound,
    flip_distance,
    jacobian_norms,
    local_bound,
    margin_over_slope,
    read_graph,
)
from offmap.passes import evaluating

OUTPUTS = 64  # up to which balls are looked at: each output costs a backward pass
KINKS = 12  # up to which every linear piece is looked at


@dataclass(frozen=True, slots=True, eq=False)
class Sandwich:
    """Bounds from both sides.

    Args:
        found: Distance to another answer that a search found, or where the search ended [m].
        linear: Margin over slope, or where the search ended [m].
        proved: Distance within which the answer cannot change, of the first inputs [k].
        rates: Lipschitz constants of the outputs around these, from the lowest bound to the
            highest.
        notes: What could not be proved, and why.
    """

    found: Float64[Tensor, " m"]
    linear: Float64[Tensor, " m"]
    proved: Float64[Tensor, " k"]
    rates: dict[str, Estimate]
    notes: tuple[str, ...]


def sandwich(
    model: nn.Module,
    inputs: Float[Tensor, "m *shape"],
    *,
    proofs: int,
    ball: float,
    balls: int,
    far: float,
    generator: torch.Generator,
) -> Sandwich:
    """Looks at each input from both sides.

    Args:
        model: The network, with outputs [n c].
        inputs: Where, on the model's device.
        proofs: For how many of them, the first, something is proved.
        ball: Radius of the balls in which rates are bounded.
        balls: Sizes of ball that are tried for each proof.
        far: Where the search ends.
        generator: Source of the start of power iterations.
    """
    with evaluating(model):
        graph, notes = _graph(model, inputs)
        few = model(inputs[:1]).shape[1] <= OUTPUTS
        found = flip_distance(model, inputs).clamp_max(far)
        linear = margin_over_slope(model, inputs).clamp_max(far)
        near, limit = inputs[:proofs], found[:proofs]
        proved = torch.zeros_like(limit)
        if graph is not None:
            proved = certified_radius(graph, near, limit, steps=balls if few else 0)
            proved = proved.clamp_max(far)
        rates = _rates(graph, model, near, ball, few=few, generator=generator)
    # What was found in float32 and what is proved of exact numbers can cross by rounding.
    found[:proofs] = torch.maximum(limit, proved)
    return Sandwich(found.cpu(), linear.cpu(), proved.cpu(), rates, notes)


def _graph(model: nn.Module, inputs: Tensor) -> tuple[Graph | None, tuple[str, ...]]:
    """The network's layers, if a bound is known for each; else a note that says why not."""
    try:
        return read_graph(model, inputs[:1]), ()
    except UnboundedError as error:
        return None, (f"Nothing is proved: {error}.",)


def _rates(
    graph: Graph | None,
    model: nn.Module,
    inputs: Tensor,
    ball: float,
    *,
    few: bool,
    generator: torch.Generator,
) -> dict[str, Estimate]:
    """Lipschitz constants of the outputs, from the lowest bound to the highest."""
    function = graph or model
    radius = torch.full((len(inputs),), ball, dtype=torch.double, device=inputs.device)
    rates = {"at the example, median": jacobian_norms(function, inputs, generator=generator)}
    if few:
        rates[f"steepest found within {ball:.2g}, median"] = ascent_bound(function, inputs, radius)
    if few and graph is not None:
        rates[f"proved within {ball:.2g}, median"] = local_bound(graph, inputs, radius)
    estimates = {name: quantile(values) for name, values in rates.items()}
    if graph is None:
        return estimates
    kinks = bends(graph)
    if kinks is not None and kinks <= KINKS:
        estimates["exact, everywhere"] = exact(exact_bound(graph))
    return estimates | {"proved everywhere": exact(graph.reach[-1])}
