"""Lower bounds on Lipschitz constants and upper bounds on distances: what was found by looking.

They need no knowledge of the layers, only gradients. `function` is a network in evaluation mode,
or its `Graph`, which computes in float64.
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Float64, Int, Shaped
from torch import Tensor

__all__ = ["ascent_bound", "flip_distance", "jacobian_norms", "margin_over_slope"]

Function = Callable[[Tensor], Tensor]

EXACT = 32  # outputs up to which the whole Jacobian is formed
TINY = torch.finfo(torch.double).tiny
PAST = 1.02  # of the step to a linear boundary, so as to land beyond it


def jacobian_norms(
    function: Function,
    inputs: Float[Tensor, "m *shape"],
    *,
    steps: int = 30,
    generator: torch.Generator,
) -> Float64[Tensor, " m"]:
    """Largest singular value of the Jacobian of the outputs at each input.

    A lower bound on the Lipschitz constant of any region around it. With few outputs from the
    Jacobian itself, one backward pass an output; with more by power iteration, from below, a
    forward and a backward pass a step.

    Args:
        function: The network; examples must not depend on one another.
        inputs: Where.
        steps: Of the power iteration.
        generator: Source of its start.

    Raises:
        ValueError: If no gradient reaches the inputs.
    """
    inputs = inputs.detach()
    outputs = function(inputs[:1]).flatten(1).shape[1]
    if outputs <= EXACT:
        return torch.linalg.matrix_norm(jacobians(function, inputs)[1], 2)
    direction = torch.randn(inputs.shape, generator=generator).to(inputs)
    norms = inputs.new_zeros(len(inputs), dtype=torch.double)
    for _ in range(steps):
        image, direction = _there_and_back(function, inputs, _unit(direction))
        norms = torch.maximum(norms, image.flatten(1).double().norm(dim=1))
    return norms


def jacobians(
    function: Function, inputs: Float[Tensor, "m *shape"]
) -> tuple[Float64[Tensor, "m c"], Float64[Tensor, "m c d"]]:
    """Outputs and Jacobian at each input, flattened, float64.

    Raises:
        ValueError: If no gradient reaches the inputs.
    """
    with torch.enable_grad():
        inputs = inputs.detach().requires_grad_()
        out = function(inputs).flatten(1)
        if not out.requires_grad:
            raise ValueError("expected a network that passes gradients to its input, got none")
        rows = [
            torch.autograd.grad(out[:, j].sum(), inputs, retain_graph=True)[0].flatten(1)
            for j in range(out.shape[1])
        ]
    return out.detach().double(), torch.stack(rows, dim=1).double()


def ascent_bound(
    function: Function,
    centers: Float[Tensor, "m *shape"],
    radius: Shaped[Tensor, " m"],
    *,
    steps: int = 5,
) -> Float64[Tensor, " m"]:
    """The largest Jacobian norm found in the L2 ball around each center.

    From the direction in which the outputs change fastest at the center, on to the place on the
    sphere where they change fastest from what they are at the center, as gradient ascent on the
    change says. The slope there is what the straight line from the center needs on average.

    Args:
        function: The network, with few outputs: each costs a backward pass a step.
        centers: Of the balls.
        radius: Of the balls.
        steps: Places looked at, the center apart.

    Raises:
        ValueError: If no gradient reaches the inputs.
    """
    start, slopes = jacobians(function, centers)
    best = torch.linalg.matrix_norm(slopes, 2)
    change = torch.linalg.svd(slopes, full_matrices=False).U[:, :, 0]
    # Nothing beyond the ball counts: rounding in the type of the inputs may not leave it.
    within = radius.to(centers.device, torch.double) * (1 - 1e-6)
    for _ in range(steps):
        toward = torch.einsum("mc,mcd->md", change, slopes)
        step = within[:, None] * toward / toward.norm(dim=1, keepdim=True).clamp_min(TINY)
        out, slopes = jacobians(function, centers + step.view(centers.shape).to(centers.dtype))
        best = torch.maximum(best, torch.linalg.matrix_norm(slopes, 2))
        change = out - start
    return best


def margin_over_slope(
    function: Function, inputs: Float[Tensor, "m *shape"], *, rivals: int = 10
) -> Float64[Tensor, " m"]:
    """The distance at which the class would change, were the network linear; infinite if never.

    No bound either way: the network may bend toward the boundary or away from it.

    Args:
        function: The network.
        inputs: Where.
        rivals: Classes that are considered for each input, those that score highest there; each
            costs a backward pass.

    Raises:
        ValueError: If no gradient reaches the inputs.
    """
    top, own = _rivals(function, inputs, rivals)
    scores, slopes = jacobians(lambda points: function(points).gather(1, top), inputs)
    distance, _ = _boundaries(scores, slopes, own)
    return distance.amin(dim=1)


def flip_distance(
    function: Function,
    inputs: Float[Tensor, "m *shape"],
    *,
    steps: int = 20,
    halvings: int = 20,
    rivals: int = 10,
) -> Float64[Tensor, " m"]:
    """An upper bound on the distance at which the predicted class changes; infinite if none found.

    DeepFool (Moosavi-Dezfooli et al. 2016, https://arxiv.org/abs/1511.04599): a step to the
    nearest boundary of the linearized network, again and again until the class changes; then
    bisection of the segment back to the input.

    Args:
        function: The network.
        inputs: Where to start.
        steps: Linearizations.
        halvings: Of the segment.
        rivals: Classes that are considered for each input, those that score highest there; each
            costs a backward pass a step.

    Raises:
        ValueError: If no gradient reaches the inputs.
    """
    flat = inputs.detach().flatten(1)
    top, own = _rivals(function, inputs, rivals)
    classes = top.gather(1, own[:, None])[:, 0]

    def rated(points: Tensor) -> Tensor:
        return function(points.view(inputs.shape)).gather(1, top)

    def changed(points: Tensor) -> Bool[Tensor, " m"]:
        with torch.no_grad():
            return function(points.view(inputs.shape)).argmax(dim=1) != classes

    moved = flat.clone()
    for _ in range(steps):
        flipped = changed(moved)
        if bool(flipped.all()):
            break
        step = PAST * _to_boundary(*jacobians(rated, moved), own).to(flat.dtype)
        moved = torch.where(flipped[:, None], moved, moved + step)
    found = changed(moved)
    low, high = torch.zeros_like(flat[:, :1]), torch.ones_like(flat[:, :1])
    for _ in range(halvings):
        middle = (low + high) / 2
        beyond = changed(flat + middle * (moved - flat))[:, None]
        low, high = torch.where(beyond, low, middle), torch.where(beyond, middle, high)
    distance = (flat + high * (moved - flat) - flat).double().norm(dim=1)
    return torch.where(found, distance, torch.inf)


def _rivals(
    function: Function, inputs: Tensor, count: int
) -> tuple[Int[Tensor, "m k"], Int[Tensor, " m"]]:
    """The classes that score highest at each input, and where among them the predicted one is."""
    with torch.no_grad():
        scores = function(inputs)
    top = scores.topk(min(1 + count, scores.shape[1]), dim=1).indices
    return top, (top == scores.argmax(dim=1, keepdim=True)).int().argmax(dim=1)


def _boundaries(
    scores: Float64[Tensor, "m k"], slopes: Float64[Tensor, "m k d"], own: Int[Tensor, " m"]
) -> tuple[Float64[Tensor, "m k"], Float64[Tensor, "m k d"]]:
    """Distance and direction to where each class takes over, were the network linear."""
    rows = torch.arange(len(scores), device=scores.device)
    gap = (scores[rows, own][:, None] - scores).clamp_min(0)
    toward = slopes - slopes[rows, own][:, None]
    length = toward.norm(dim=2)
    flat = length <= TINY  # also one's own class
    distance = (gap / length.clamp_min(TINY)).masked_fill(flat, torch.inf)
    return distance, toward / length.clamp_min(TINY)[:, :, None]


def _to_boundary(
    scores: Float64[Tensor, "m k"], slopes: Float64[Tensor, "m k d"], own: Int[Tensor, " m"]
) -> Float64[Tensor, "m d"]:
    """The shortest step to where another class takes over, were the network linear; 0 if none."""
    distance, direction = _boundaries(scores, slopes, own)
    nearest = distance.argmin(dim=1, keepdim=True)
    # On the boundary itself a step of no length would stay there for ever.
    size = distance.gather(1, nearest).clamp_min(1e-9)
    step = size * direction.take_along_dim(nearest[:, :, None], dim=1)[:, 0]
    return step.masked_fill(size.isinf(), 0.0)


def _unit(direction: Tensor) -> Tensor:
    lengths = direction.flatten(1).norm(dim=1).clamp_min(torch.finfo(direction.dtype).tiny)
    return direction / lengths.view(-1, *[1] * (direction.ndim - 1))


def _there_and_back(function: Function, inputs: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
    """The Jacobian J at each input times a direction v, and J' J v.

    J' u is linear in u; the slope of its product with v with respect to u is J v.
    """
    with torch.enable_grad():
        inputs = inputs.detach().requires_grad_()
        out = function(inputs)
        weights = torch.zeros_like(out, requires_grad=True)
        (pulled,) = torch.autograd.grad(out, inputs, weights, create_graph=True)
        (image,) = torch.autograd.grad(pulled, weights, direction, retain_graph=True)
        return image, torch.autograd.grad(out, inputs, image)[0]
