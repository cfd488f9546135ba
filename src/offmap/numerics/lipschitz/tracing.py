"""Reads the graph of a network off a pass of it: whatever Python it runs, modules or programs.

A pass calls functions of torch; each is recorded by its name with what it was given. A function
that is not known makes its result unknown, and so does whatever is computed from that; if the
output is, the network is refused. Reading the *numbers* of a value (`if x.sum() > 0`) is refused
as well. Then the graph must reproduce the network on inputs that it has not seen: a value that
was changed in place, or hidden from the record, does not get through.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FunctionType
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from offmap.numerics.lipschitz.activations import Activation
from offmap.numerics.lipschitz.functions import ARITHMETIC, UNARY, arithmetic
from offmap.numerics.lipschitz.graph import Graph, Node, Step, alive
from offmap.numerics.lipschitz.operators import Convolution, Linear, Maximum, Scale, Shape, Sum

__all__ = ["KINDS", "UnboundedError", "read_graph"]

KINDS = (
    "Linear, Conv, BatchNorm, ReLU, LeakyReLU, ELU, Tanh, Sigmoid, GELU, SiLU, Softplus, Flatten, "
    "AvgPool, MaxPool, Dropout, sums"
)
# What a network may ask of a value without looking at its numbers.
QUESTIONS = {
    "__get__", "__len__", "size", "dim", "ndimension", "numel", "nelement", "is_floating_point",
    "is_complex", "get_device", "type", "element_size", "is_contiguous", "stride", "__hash__",
}  # fmt: skip
SAME = 1e-3  # relative difference of the graph from the network that float32 explains


class UnboundedError(ValueError):
    """The network does something that no bound is known for; the message names it."""


def read_graph(model: nn.Module, example: Shaped[Tensor, "1 *shape"]) -> Graph:
    """The graph of a network in evaluation mode.

    Args:
        model: The network; all of its modules in evaluation mode.
        example: One input, for its shape, type and device.

    Raises:
        ValueError: If the network is in training mode, takes whole numbers or gives no tensor.
        UnboundedError: If it does anything that no bound is known for; the message names the layer.
    """
    if not example.is_floating_point() or len(example) != 1:
        raise ValueError(
            f"expected one example of floating-point numbers, got {list(example.shape)} of "
            f"{example.dtype}"
        )
    training = next((name or "it" for name, m in model.named_modules() if m.training), None)
    if training is not None:
        raise ValueError(f"expected a model in evaluation mode, got {training!r} in training mode")
    with torch.no_grad():
        inputs = _unlike(example, 5)
        recorder = _Recorder(inputs[:2])
        with _named(model, recorder), recorder:
            output = model(recorder.inputs)
        graph = Graph(recorder.nodes_of(output))
        _verify(graph, model, inputs[2:])
    return graph


def _unlike(example: Tensor, count: int) -> Tensor:
    """The example, and others of its size in which no two coordinates move alike."""
    phase = torch.arange(example.numel(), dtype=torch.double, device=example.device)
    size = example.double().square().mean().sqrt().clamp_min(0.1)
    waves = [(phase * (0.7 + 0.31 * k) + k).sin().view(example.shape) for k in range(1, count)]
    others = [example.double() / k + size * wave for k, wave in enumerate(waves, start=1)]
    return torch.cat([example.double(), *others]).to(example.dtype)


def _verify(graph: Graph, model: nn.Module, inputs: Tensor) -> None:
    """Checks the graph against the network.

    Raises:
        UnboundedError: If it is not the function that the network computes.
    """
    expected, found = model(inputs).double(), graph(inputs)
    scale = expected.abs().max().item()
    if found.shape != expected.shape or not torch.allclose(found, expected, SAME, SAME * scale):
        raise UnboundedError(
            "expected a network that does the same to every input, got one whose output is not "
            "that of its layers: it changes values in place, or hides layers from torch"
        )


@contextmanager
def _named(model: nn.Module, recorder: "_Recorder") -> Iterator[None]:
    """The recorder knows which module is at work."""
    with ExitStack() as hooks:
        for name, module in model.named_modules():
            enter = module.register_forward_pre_hook(
                lambda module, _, name=name: recorder.path.append((name, module))
            )
            leave = module.register_forward_hook(lambda *_: recorder.leave())
            hooks.callback(enter.remove)
            hooks.callback(leave.remove)
        yield


class _Recorder(TorchFunctionMode):
    """Takes down what torch is asked to do to the inputs, and to what comes of them."""

    def __init__(self, inputs: Tensor) -> None:
        super().__init__()
        self.inputs = inputs
        self.nodes = [Node(None, (), tuple(inputs.shape[1:]), "")]
        self.path: list[tuple[str, nn.Module]] = []
        self.kept = [inputs]  # so that no identity is given to another tensor
        self.known: dict[int, int | str] = {id(inputs): 0}  # its node, or why there is none

    def leave(self) -> None:
        """The module at work is done."""
        self.path.pop()

    def nodes_of(self, output: object) -> tuple[Node, ...]:
        """The graph behind an output.

        Raises:
            ValueError: If it is no tensor.
            UnboundedError: If something on the way is not known.
        """
        if not isinstance(output, Tensor):
            raise ValueError(f"expected a model that gives a tensor, got {type(output).__name__}")
        found = self.known.get(id(output), "an output that torch did not compute from the input")
        if isinstance(found, str):
            raise UnboundedError(_refusal(found))
        return alive(self.nodes, found)

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        """Calls the function and takes down what it did.

        Raises:
            UnboundedError: If it reads the numbers of a value that depends on the input.
        """
        kwargs = kwargs or {}
        given = [self.known.get(id(value)) for value in _tensors((args, kwargs))]
        given = [found for found in given if found is not None]
        result = func(*args, **kwargs)
        if given:
            name, found = _name(func), tuple(_tensors(result))
            if not found and name not in QUESTIONS:
                raise UnboundedError(_refusal(self._place(name)))
            unknown = next((reason for reason in given if isinstance(reason, str)), None)
            for tensor in found:
                self.kept.append(tensor)
                node = None if unknown else self._node(name, args, kwargs, result)
                self.known[id(tensor)] = unknown or self._place(name) if node is None else node
        return result

    def _node(self, name: str, args: tuple, kwargs: dict, result: object) -> int | None:
        """The node of a result; None if no bound is known for it."""
        if not isinstance(result, Tensor) or result.shape[:1] != self.inputs.shape[:1]:
            return None
        kwargs = {key: value for key, value in kwargs.items() if key != "inplace"}
        args = args or (kwargs.pop("input", None),)
        shape = tuple(result.shape[1:])
        if name in ARITHMETIC:
            return self._arithmetic(name, args, kwargs, shape)
        parents = [self.known.get(id(value)) for value in _tensors((args, kwargs))]
        first, *others = parents
        if name not in UNARY or not isinstance(first, int) or any(p is not None for p in others):
            return None
        step = UNARY[name](self.nodes[first].shape, shape, *args[1:], **kwargs)
        if step == "unknown":
            return None
        return first if step is None else self._add(step, (first,), shape, name)

    def _arithmetic(self, name: str, args: tuple, kwargs: dict, shape: Shape) -> int | None:
        """The node of a sum, difference, product or quotient."""
        if len(args) != 2 or kwargs.get("alpha", 1) != 1 or "rounding_mode" in kwargs:
            return None
        first, second = (self.known.get(id(value)) for value in args)
        if isinstance(first, int) and isinstance(second, int):
            if name != "add" or self.nodes[first].shape != self.nodes[second].shape:
                return None
            return self._add(Sum(), (first, second), shape, name)
        parent = first if isinstance(first, int) else second
        assert isinstance(parent, int)
        left, right = (
            None if isinstance(k, int) else a for k, a in ((first, args[0]), (second, args[1]))
        )
        step = arithmetic(name, shape, left, right)
        if step == "unknown" or self.nodes[parent].shape != shape:
            return None
        return self._add(step, (parent,), shape, name)

    def _add(self, step: Step, parents: tuple[int, ...], shape: Shape, name: str) -> int:
        """A new node; a scale behind a weight is taken into it, and a maximum goes first.

        The maximum of what never falls is that of the maximum: fewer numbers to bound.
        """
        before = self.nodes[parents[0]]
        bent = before.step
        if isinstance(step, Maximum) and isinstance(bent, Activation) and bent.monotone:
            parents = (self._append(step, before.parents, shape, self._place(name)),)
            return self._append(bent, parents, shape, before.name)
        if isinstance(step, Scale):
            folded = _folded(before.step, step, shape)
            if folded is not None:
                step, parents = folded, before.parents
        return self._append(step, parents, shape, self._place(name))

    def _append(self, step: Step, parents: tuple[int, ...], shape: Shape, place: str) -> int:
        self.nodes.append(Node(step, parents, shape, place))
        return len(self.nodes) - 1

    def _place(self, name: str) -> str:
        """What is at work, and where: the module if it has no parts, else the function."""
        if not self.path:
            return name
        where, module = self.path[-1]
        what = type(module).__name__ if next(module.children(), None) is None else name
        return f"{what} at {where!r}" if where else what


def _refusal(what: str) -> str:
    return f"expected layers that offmap can bound ({KINDS}), got {what}"


def _folded(before: Step | None, scale: Scale, shape: Shape) -> Linear | Convolution | None:
    """The weight before a scale of its rows, with the scale in it; None where it is no such."""
    if not isinstance(before, Linear | Convolution):
        return None
    axis = len(shape) - 1 if isinstance(before, Linear) else 0  # of an output, that rows make
    sizes = (*[1] * (len(shape) - scale.weight.ndim), *scale.weight.shape)
    if any(size != 1 for place, size in enumerate(sizes) if place != axis):
        return None
    factor = scale.weight.reshape(-1, *[1] * (before.weight.ndim - 1))
    bias = None if before.bias is None else before.bias * scale.weight
    if scale.bias is not None:
        bias = scale.bias if bias is None else bias + scale.bias
    weight = before.weight * factor
    if isinstance(before, Linear):
        return Linear(weight, bias)
    return Convolution(weight, bias, before.stride, before.padding, before.dilation, before.groups)


def _name(func: Callable) -> str:
    """What a function is called, in place or not, as a method, a function or an operator."""
    schema = getattr(func, "_schema", None)
    name = func.__name__ if schema is None else schema.name.partition("::")[2]
    if name == "batch_norm" and not isinstance(func, FunctionType):
        return "program_batch_norm"  # torch's own has its parameters in another order
    return name if name.startswith("__") else name.removesuffix("_")


def _tensors(value: object) -> Iterator[Tensor]:
    """Every tensor in nested tuples, lists and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _tensors(part)
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _tensors(part)
