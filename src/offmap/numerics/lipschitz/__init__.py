"""How fast a network can change: bounds from both sides, and exactly where it is small.

From above, `global_bound` and `margin_bounds` hold for all inputs, `local_bound` and
`certified_radius` within a ball. From below, `jacobian_norms` and `ascent_bound` say how steep it
was found to be, and `flip_distance` how near its answer changes. `exact_bound` goes through every
linear piece of a small network. Everything but the lower bounds needs layers that are known:
`read_graph` says which one is not.
"""

from offmap.numerics.lipschitz.below import (
    ascent_bound,
    flip_distance,
    jacobian_norms,
    margin_over_slope,
)
from offmap.numerics.lipschitz.graph import Graph
from offmap.numerics.lipschitz.local import certified_radius, local_bound, local_margin_bound
from offmap.numerics.lipschitz.regions import bends, exact_bound
from offmap.numerics.lipschitz.tracing import UnboundedError, read_graph
from offmap.numerics.lipschitz.whole import global_bound, margin_bounds, pair_bounds

__all__ = [
    "Graph", "UnboundedError", "ascent_bound", "bends", "certified_radius", "exact_bound",
    "flip_distance", "global_bound", "jacobian_norms", "local_bound", "local_margin_bound",
    "margin_bounds", "margin_over_slope", "pair_bounds", "read_graph",
]  # fmt: skip
