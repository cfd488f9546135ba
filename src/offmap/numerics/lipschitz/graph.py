"""A network as a graph of steps that bounds are known for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from jaxtyping import Float
from torch import Tensor

from offmap.numerics.lipschitz.activations import Activation
from offmap.numerics.lipschitz.norms import SLACK
from offmap.numerics.lipschitz.operators import Affine, Maximum, Shape, Sum

__all__ = ["Graph", "Node", "Step", "alive"]

Step = Affine | Activation | Maximum | Sum


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One step: what it does, to the values of which nodes, and the shape of what comes out.

    The input is the node without a step.
    """

    step: Step | None
    parents: tuple[int, ...]
    shape: Shape
    name: str


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes in an order in which each comes after its parents: the input first, the output last.

    In real numbers it is the same function as the network; here it is computed in float64.
    """

    nodes: tuple[Node, ...]

    def values(self, inputs: Float[Tensor, "n ..."]) -> list[Tensor]:
        """What every node gives, float64."""
        found = [inputs.double()]
        for node in self.nodes[1:]:
            found.append(function(node)(*(found[parent] for parent in node.parents)))
        return found

    def __call__(self, inputs: Float[Tensor, "n ..."]) -> Float[Tensor, "n ..."]:
        """The network's output, float64."""
        return self.values(inputs)[-1]

    @cached_property
    def rates(self) -> tuple[float, ...]:
        """For each node an upper bound on its own Lipschitz constant; 1 for the input and sums."""
        return tuple(_rate(node, self.nodes) for node in self.nodes)

    @cached_property
    def reach(self) -> tuple[float, ...]:
        """For each node an upper bound on its Lipschitz constant with respect to the input.

        Norms multiply along a chain, and where two branches are added, so are their constants.
        """
        found: list[float] = []
        for node, rate in zip(self.nodes, self.rates, strict=True):
            before = sum(found[parent] for parent in node.parents) if node.parents else 1.0
            found.append(rate * before * (1 + SLACK))
        return tuple(found)


def function(node: Node) -> Callable[..., Tensor]:
    """What a node does to the values of its parents."""
    step = node.step
    assert step is not None
    return step.function if isinstance(step, Activation) else step


def _rate(node: Node, nodes: Sequence[Node]) -> float:
    if isinstance(node.step, Affine):
        return node.step.norm(nodes[node.parents[0]].shape)
    return node.step.lipschitz if isinstance(node.step, Activation | Maximum) else 1.0


def alive(nodes: Sequence[Node], output: int) -> tuple[Node, ...]:
    """The nodes that the output depends on, and the input, numbered anew."""
    needed = {0, output}
    for place in range(output, 0, -1):
        if place in needed:
            needed.update(nodes[place].parents)
    order = {old: new for new, old in enumerate(sorted(needed))}
    return tuple(
        Node(node.step, tuple(order[parent] for parent in node.parents), node.shape, node.name)
        for node in (nodes[old] for old in order)
    )
