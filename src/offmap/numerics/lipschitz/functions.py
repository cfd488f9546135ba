"""What each function of torch is, as a step. A step of None is the value itself."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from offmap.numerics.lipschitz.activations import ACTIVATIONS
from offmap.numerics.lipschitz.graph import Step
from offmap.numerics.lipschitz.operators import (
    Average,
    Convolution,
    Linear,
    Maximum,
    Reshape,
    Scale,
    Shape,
)

__all__ = ["ARITHMETIC", "UNARY", "Unknown", "arithmetic"]

Unknown = Literal["unknown"]
UNKNOWN: Unknown = "unknown"
Built = Step | None | Unknown
# From the shapes of the value and of the result, and what else the function was given.
Builder = Callable[..., Built]
Sizes = int | Sequence[int]


def _each(sizes: Sizes, axes: int) -> tuple[int, ...]:
    """One size for each axis."""
    sizes = (sizes,) if isinstance(sizes, int) else tuple(sizes)
    return sizes * axes if len(sizes) == 1 else sizes


def _column(values: Tensor | None, axes: int) -> Tensor | None:
    """A number for each channel, to be broadcast over `axes` axes behind it."""
    return None if values is None else values.detach().double().reshape(-1, *[1] * axes)


def _linear(given: Shape, result: Shape, weight: Tensor, bias: Tensor | None = None) -> Built:
    shift = None if bias is None else bias.detach().double()
    return Linear(weight.detach().double(), shift)


def _convolution(
    given: Shape,
    result: Shape,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Built:
    axes = weight.ndim - 2
    stride, dilation = _each(stride, axes), _each(dilation, axes)
    if padding == "valid":
        padding = 0
    if isinstance(padding, str):  # "same"
        reach = [(k - 1) * d for k, d in zip(weight.shape[2:], dilation, strict=True)]
        if any(r % 2 for r in reach):
            return UNKNOWN  # more zeros at one end than at the other
        padding = [r // 2 for r in reach]
    return Convolution(
        weight.detach().double(),
        _column(bias, axes),
        stride,
        _each(padding, axes),
        dilation,
        groups,
    )


def _batch_norm(
    given: Shape,
    result: Shape,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Built:
    if training or running_mean is None or running_var is None:
        return UNKNOWN  # every example then depends on the others
    scale = (running_var.detach().double() + eps).rsqrt()
    scale = scale if weight is None else scale * weight.detach().double()
    shift = -running_mean.detach().double() * scale
    shift = shift if bias is None else shift + bias.detach().double()
    places = [1] * (len(given) - 1)
    return Scale(scale.view(-1, *places), shift.view(-1, *places))


def _program_batch_norm(
    given: Shape,
    result: Shape,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool = True,
) -> Built:
    return _batch_norm(
        given, result, running_mean, running_var, weight, bias, training, momentum, eps
    )


def _dropout(given: Shape, result: Shape, p: float = 0.5, training: bool = True, *_: Any) -> Built:
    return UNKNOWN if training and p else None


def _same(given: Shape, result: Shape, *_: Any, **__: Any) -> Built:
    return None if given == result else UNKNOWN


def _reshape(given: Shape, result: Shape, *_: Any, **__: Any) -> Built:
    return Reshape(torch.ones((), dtype=torch.double), result)


def _average(
    given: Shape,
    result: Shape,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Built:
    axes = len(given) - 1
    window = _each(kernel_size, axes)
    step = _each(stride, axes) if stride else window
    if any(_each(padding, axes)) or ceil_mode or divisor_override:
        return UNKNOWN
    return _mean_over(window, step, result)


def _adaptive_average(given: Shape, result: Shape, output_size: object) -> Built:
    pairs = list(zip(given[1:], result[1:], strict=True))
    if any(size % parts for size, parts in pairs):
        return UNKNOWN  # windows of different sizes
    window = tuple(size // parts for size, parts in pairs)
    return _mean_over(window, window, result)


def _mean(
    given: Shape, result: Shape, dim: Sizes | None = None, keepdim: bool = False, **_: Any
) -> Built:
    axes = len(given) + 1
    dims = sorted({d % axes for d in _each(dim, 1)}) if dim is not None else []
    if dims != list(range(2, axes)) or not 1 <= len(dims) <= 3:
        return UNKNOWN  # only over all places of a map
    return _mean_over(given[1:], given[1:], result)


def _mean_over(window: Shape, stride: Shape, result: Shape) -> Average:
    count = torch.tensor(window).prod().double()
    return Average(1 / count, window, stride, result)


def _maximum(
    given: Shape,
    result: Shape,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Built:
    if ceil_mode or len(given) != 3:
        return UNKNOWN
    window, spread = _each(kernel_size, 2), _each(dilation, 2)
    step = _each(stride, 2) if stride else window
    return Maximum(window, step, _each(padding, 2), spread)


def _activation(name: str) -> Builder:
    def build(given: Shape, result: Shape, *args: Any, **kwargs: Any) -> Built:
        # Positions behind the parameters say `inplace` in torch's functions; programs scale ELU.
        count = {"leaky_relu": 1, "elu": 1, "softplus": 2}.get(name, 0)
        if any(rest not in (False, True, 1) for rest in args[count:]):
            return UNKNOWN
        return ACTIVATIONS[name](*args[:count], **kwargs)

    return build


UNARY: dict[str, Builder] = {
    "neg": lambda given, result: Scale(-torch.ones((), dtype=torch.double), None),
    "linear": _linear,
    "batch_norm": _batch_norm,
    "program_batch_norm": _program_batch_norm,
    "mean": _mean,
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), _convolution),
    **dict.fromkeys(
        ("dropout", "dropout1d", "dropout2d", "dropout3d", "feature_dropout", "alpha_dropout"),
        _dropout,
    ),
    **dict.fromkeys(("clone", "contiguous", "detach", "to", "float", "double"), _same),
    **dict.fromkeys(
        ("flatten", "view", "reshape", "unflatten", "squeeze", "unsqueeze", "_unsafe_view"),
        _reshape,
    ),
    **dict.fromkeys(("avg_pool1d", "avg_pool2d", "avg_pool3d"), _average),
    **dict.fromkeys(
        ("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"), _adaptive_average
    ),
    "max_pool2d": _maximum,
    **{name: _activation(name) for name in ACTIVATIONS},
}

ARITHMETIC = ("add", "sub", "__rsub__", "mul", "div", "true_divide")


def arithmetic(name: str, shape: Shape, first: object, second: object) -> Scale | Unknown:
    """Arithmetic of a value of that shape (given as None) and what is the same for every input."""
    if name == "__rsub__":
        first, second = second, first
    other = second if first is None else first
    if not isinstance(other, Tensor | int | float):
        return UNKNOWN
    number = torch.as_tensor(other).detach().double()
    number = number[0] if number.ndim == len(shape) + 1 and len(number) == 1 else number
    if number.ndim > len(shape):
        return UNKNOWN  # it would not fit another number of examples
    one = torch.ones((), dtype=torch.double, device=number.device)
    match name:
        case "add":
            return Scale(one, number)
        case "sub" | "__rsub__":
            return Scale(one, -number) if first is None else Scale(-one, number)
        case "mul":
            return Scale(number, None)
    return UNKNOWN if second is None else Scale(1 / number, None)
