"""The gradient of each example by itself: a helper, not a measure."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap
from torch.nn.functional import cross_entropy

from offmap.attempt import CannotMeasure, Failure, attempt
from offmap.passes import BATCH, device_of
from offmap.run import Split

GRADIENT_BYTES = 64 * 2**20  # of per-example gradients held at once

Weights = dict[str, nn.Parameter]
Gradients = dict[str, Tensor]  # by parameter, [b, *shape]
Method = Callable[[Tensor, Tensor], tuple[Tensor, Gradients]]


def example_gradients(model: nn.Module, sample: Split) -> Iterator[tuple[Tensor, Gradients]]:
    """Loss [b] and gradients of each example by itself, a bounded number of bytes at a time.

    The caller sets the mode: `with evaluating(model, gradients=True)`. Nothing is left in `.grad`.

    All examples of a chunk at once where the model can be vectorized (`torch.func.vmap`), one
    after the other where it cannot (control flow that looks at the data).

    Raises:
        CannotMeasure: If no parameter requires a gradient.
    """
    weights = {name: w for name, w in model.named_parameters() if w.requires_grad}
    if not weights:
        raise CannotMeasure("none of the model's parameters requires a gradient")
    size = sum(w.numel() * w.element_size() for w in weights.values())
    device = device_of(model)
    several = None
    for batch in sample.batches(min(BATCH, max(1, GRADIENT_BYTES // size))):
        inputs, targets = batch.inputs.to(device), batch.targets.to(device)
        several = several or _method(model, weights, inputs[:1], targets[:1])
        yield several(inputs, targets)


def _method(model: nn.Module, weights: Weights, inputs: Tensor, targets: Tensor) -> Method:
    """Vectorized if that works on the one example given, else by a loop."""
    fast = _vectorized(model, weights)
    failed = isinstance(attempt(lambda: fast(inputs, targets)), Failure)
    return _one_by_one(model, weights) if failed else fast


def _vectorized(model: nn.Module, weights: Weights) -> Method:
    """Loss and gradients of a chunk, in one pass."""
    values = {name: weight.detach() for name, weight in weights.items()}

    def loss(values: Gradients, inputs: Tensor, targets: Tensor) -> Tensor:
        return example_loss(functional_call(model, values, (inputs[None],)), targets)

    each = vmap(grad_and_value(loss), in_dims=(None, 0, 0))

    def several(inputs: Tensor, targets: Tensor) -> tuple[Tensor, Gradients]:
        gradients, losses = each(values, inputs, targets)
        return losses, gradients

    return several


def _one_by_one(model: nn.Module, weights: Weights) -> Method:
    """The same by plain autograd, example after example."""

    def several(inputs: Tensor, targets: Tensor) -> tuple[Tensor, Gradients]:
        losses, rows = [], []
        for one, target in zip(inputs, targets, strict=True):
            loss = example_loss(model(one[None]), target)
            rows.append(torch.autograd.grad(loss, list(weights.values()), materialize_grads=True))
            losses.append(loss.detach())
        columns = zip(weights, zip(*rows, strict=True), strict=True)
        return torch.stack(losses), {name: torch.stack(column) for name, column in columns}

    return several


def example_loss(out: Tensor, target: Tensor) -> Tensor:
    """Loss of one example: mean squared error, or (labels) mean cross-entropy in nats."""
    if target.is_floating_point():
        return (out.reshape(target.shape) - target).square().mean()
    return cross_entropy(out.reshape(-1, out.shape[-1]), target.reshape(-1).long())
