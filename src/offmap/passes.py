"""Passes through a network that leave it as it was."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from offmap.attempt import InputError
from offmap.run import Split

BATCH = 256  # examples in a forward pass: part of the numbers, so the same everywhere


@contextmanager
def evaluating(model: nn.Module, *, gradients: bool = False) -> Iterator[nn.Module]:
    """The model in evaluation mode; every module's mode is put back afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        for module, _ in modes:
            module.training = False
        with torch.set_grad_enabled(gradients):
            yield model
    finally:
        for module, training in modes:
            module.training = training


def device_of(model: nn.Module) -> torch.device:
    """Where the model's weights are; the CPU where it has none."""
    weight = next(model.parameters(), next(model.buffers(), None))
    return torch.device("cpu") if weight is None else weight.device


def named_layer(model: nn.Module, name: str) -> nn.Module:
    """The module of that name, as in `named_modules()`.

    Raises:
        InputError: If there is none.
    """
    modules = dict(model.named_modules())
    if name not in modules:
        known = ", ".join(repr(n) for n in modules if n)
        raise InputError(f"expected a layer of the model, got {name!r}; it has {known or 'none'}")
    return modules[name]


@contextmanager
def captured(
    model: nn.Module, *, inputs_of: str | None = None, outputs_of: Sequence[str] = ()
) -> Iterator[dict[str, Tensor]]:
    """Fills a dict, on every forward pass, with the input of one layer and the outputs of others.

    The input of `inputs_of` stands under that name; outputs under theirs. A tuple is its first
    tensor; of a layer called more than once, the last call counts.
    """
    caught: dict[str, Tensor] = {}

    def first(value: object) -> Tensor:
        while isinstance(value, (tuple, list)) and value:
            value = value[0]
        if not isinstance(value, Tensor):
            raise InputError(f"expected a layer to pass a tensor, got {type(value).__name__}")
        return value.detach().clone()  # the next layer may work in place

    with ExitStack() as hooks:
        if inputs_of is not None:
            layer = named_layer(model, inputs_of)
            keep = layer.register_forward_pre_hook(
                lambda _, args: caught.__setitem__(inputs_of, first(args))
            )
            hooks.callback(keep.remove)
        for name in outputs_of:
            keep = named_layer(model, name).register_forward_hook(
                lambda _, __, out, name=name: caught.__setitem__(name, first(out))
            )
            hooks.callback(keep.remove)
        yield caught


def feature_layer(model: nn.Module) -> str | None:
    """Name of the last linear layer, whose input is what a head reads; None if there is none."""
    names = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    return names[-1] if names else None


def weight_layers(model: nn.Module) -> tuple[str, ...]:
    """Names of the leaves that hold a weight matrix or kernel, in their order of definition.

    What only holds parameters and is never called (a `ParameterList`, the parts of an exported
    program) is no layer.
    """
    return tuple(
        name
        for name, module in model.named_modules()
        if name
        and next(module.children(), None) is None
        and type(module).forward is not nn.Module.forward
        and any(weight.ndim >= 2 for weight in module.parameters(recurse=False))
    )


def flat(features: Tensor) -> Tensor:
    """One vector for each example: [n, ...] -> [n, d]; sequences [n, t, d] are averaged over t."""
    return features.mean(dim=1) if features.ndim == 3 else features.flatten(1)


def outputs(
    model: nn.Module, split: Split, size: int = BATCH, first_row: int = 0
) -> Iterator[tuple[Split, Tensor]]:
    """Each batch of the split with the model's output [b, ...] on it, checked.

    `first_row` is the number that messages give to the split's first example.

    Raises:
        InputError: If an output is not a tensor with one row an example, or not finite.
    """
    device = device_of(model)
    start = first_row
    for batch in split.batches(size):
        out = model(batch.inputs.to(device))
        if not isinstance(out, Tensor):
            raise InputError(
                f"expected the model to return a tensor, got {type(out).__name__}: "
                "wrap it in a module that returns the tensor to audit"
            )
        if out.ndim == 0 or len(out) != len(batch):
            raise InputError(
                f"expected one output for each of {len(batch)} examples, "
                f"got a tensor of shape {tuple(out.shape)}"
            )
        finite = out.detach().isfinite().reshape(len(out), -1).all(dim=1)
        if not bool(finite.all()):
            bad = (~finite).nonzero().flatten() + start
            rows = ", ".join(str(row) for row in bad[:5].tolist())
            raise InputError(
                f"{split.name}: the model's output is not finite on {len(bad)} of the examples "
                f"{start} to {start + len(batch) - 1}, the first at rows {rows}: "
                "look at these inputs and at the weights"
            )
        yield batch, out
        start += len(batch)
