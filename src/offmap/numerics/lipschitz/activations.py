"""Elementwise nonlinearities, with the range of their slope on any interval."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

__all__ = ["ACTIVATIONS", "Activation"]

# Where the slope of SiLU turns, the root of 2 + z (1 - 2 sigmoid(z)), and that of GELU's tanh form.
SILU_TURN = 2.399357280515467
TANH_GELU_TURN = 1.4185040087908283
# Slopes come out of floating point; a turning point is off by 1e-15, which moves a slope by the
# square of that. This is added on both sides.
SLACK = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Activation:
    """A nonlinearity whose slope is monotone between the places where it turns or jumps.

    Args:
        name: As torch calls it.
        function: Elementwise.
        slope: Its derivative, from either side at a kink.
        turns: Places where the slope turns or jumps, with the values next to each.
        kink: The slopes left and right of zero, where it is linear but for a kink there.
        ends: The slopes far out.
    """

    name: str
    function: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]
    turns: tuple[tuple[float, tuple[float, ...]], ...]
    ends: tuple[float, float] = (0.0, 1.0)
    kink: tuple[float, float] | None = None

    @property
    def lipschitz(self) -> float:
        """The largest size of the slope anywhere."""
        values = [value for _, found in self.turns for value in found]
        top = max(abs(value) for value in (*values, *self.ends))
        return top if self.kink else top + SLACK

    @property
    def monotone(self) -> bool:
        """Whether it never falls."""
        return min(*self.ends, *(value for _, found in self.turns for value in found)) >= 0

    def image(
        self, low: Float[Tensor, "*shape"], high: Float[Tensor, "*shape"]
    ) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
        """Bounds on what it makes of numbers between `low` and `high`."""
        if self.monotone:
            return self.function(low), self.function(high)
        least, most = self.slopes(low, high)
        middle = self.function((low + high) / 2)
        reach = torch.maximum(least.abs(), most.abs()) * (high - low) / 2
        return middle - reach, middle + reach

    def slopes(
        self, low: Float[Tensor, "*shape"], high: Float[Tensor, "*shape"]
    ) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
        """Least and largest slope between `low` and `high`, ends included."""
        first, last = self.slope(low), self.slope(high)
        least, most = torch.minimum(first, last), torch.maximum(first, last)
        for place, values in self.turns:
            inside = (low <= place) & (place <= high)
            least = torch.where(inside, least.clamp_max(min(values)), least)
            most = torch.where(inside, most.clamp_min(max(values)), most)
        return (least, most) if self.kink else (least - SLACK, most + SLACK)

    def band(
        self, low: Float[Tensor, "*shape"], high: Float[Tensor, "*shape"]
    ) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
        """Slope, offset and half width of a band that holds the function between low and high.

        slope z + offset - width <= function(z) <= slope z + offset + width. With a kink at zero it
        is the narrowest of all bands. Otherwise, what is left of the function above the middle
        slope changes by half the range of slopes a step, from its value in the middle.
        """
        if self.kink is None:
            least, most = self.slopes(low, high)
            slope, middle = (least + most) / 2, (low + high) / 2
            return slope, self.function(middle) - slope * middle, (most - least) * (high - low) / 4
        at_low, at_high = self.function(low), self.function(high)
        across = (low < 0) & (high > 0)
        chord = (at_high - at_low) / torch.where(across, high - low, 1.0)
        slope = torch.where(across, chord, self.slope(high))
        top = torch.where(across, at_low - slope * low, 0.0)  # of the chord above the kink at 0
        return slope, top / 2, top.abs() / 2


def _between(left: float, right: float) -> Callable[[Tensor], Tensor]:
    return lambda z: torch.where(z > 0, torch.full_like(z, right), left)


def relu() -> Activation:
    """max(z, 0)."""
    return Activation("relu", torch.relu, _between(0.0, 1.0), ((0.0, (0.0, 1.0)),), kink=(0.0, 1.0))


def leaky_relu(negative_slope: float = 0.01) -> Activation:
    """Z, or negative_slope z where z is negative."""
    a = float(negative_slope)
    function = partial(functional.leaky_relu, negative_slope=a)
    slope = _between(a, 1.0)
    return Activation("leaky_relu", function, slope, ((0.0, (a, 1.0)),), (a, 1.0), (a, 1.0))


def elu(alpha: float = 1.0) -> Activation:
    """Z, or alpha (exp z - 1) where z is negative."""
    a = float(alpha)
    return Activation(
        "elu",
        partial(functional.elu, alpha=a),
        lambda z: torch.where(z > 0, 1.0, a * z.clamp_max(0).exp()),
        ((0.0, (a, 1.0)),),
    )


def tanh() -> Activation:
    """The hyperbolic tangent."""
    return Activation(
        "tanh", torch.tanh, lambda z: 1 - z.tanh().square(), ((0.0, (1.0,)),), (0.0, 0.0)
    )


def sigmoid() -> Activation:
    """1 / (1 + exp -z)."""
    return Activation(
        "sigmoid", torch.sigmoid, lambda z: z.sigmoid() * (-z).sigmoid(), ((0.0, (0.25,)),),
        (0.0, 0.0),
    )  # fmt: skip


def softplus(beta: float = 1.0, threshold: float = 20.0) -> Activation:
    """log(1 + exp(beta z)) / beta; torch takes z beyond the threshold, which differs by 2e-9."""
    b = float(beta)
    return Activation(
        "softplus",
        partial(functional.softplus, beta=b, threshold=float(threshold)),
        lambda z: torch.where(b * z > threshold, 1.0, (b * z).sigmoid()),
        (),
    )


def silu() -> Activation:
    """Z sigmoid(z)."""

    def slope(z: Tensor) -> Tensor:
        return z.sigmoid() * (1 + z * (-z).sigmoid())

    return Activation("silu", functional.silu, slope, _both_turns(SILU_TURN, slope))


def gelu(approximate: str = "none") -> Activation:
    """Z times the normal distribution function of z, or its form with tanh.

    Raises:
        ValueError: If the form is unknown.
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f"expected approximate = none or tanh, got {approximate!r}")
    slope = _gelu_slope if approximate == "none" else _tanh_gelu_slope
    turn = math.sqrt(2) if approximate == "none" else TANH_GELU_TURN
    function = partial(functional.gelu, approximate=approximate)
    return Activation("gelu", function, slope, _both_turns(turn, slope))


def _gelu_slope(z: Tensor) -> Tensor:
    density = (-z.square() / 2).exp() / math.sqrt(2 * math.pi)
    return torch.special.ndtr(z) + torch.where(density > 0, z * density, 0.0)


def _tanh_gelu_slope(z: Tensor) -> Tensor:
    scale, cubic = math.sqrt(2 / math.pi), 0.044715
    bent = z.clamp(-20, 20)  # beyond, tanh is 1 to the last bit, and a cube could overflow
    t = (scale * (bent + cubic * bent**3)).tanh()
    return (1 + t) / 2 + bent * (1 - t.square()) * scale * (1 + 3 * cubic * bent.square()) / 2


def _both_turns(
    place: float, slope: Callable[[Tensor], Tensor]
) -> tuple[tuple[float, tuple[float]], ...]:
    """The slope turns at minus and plus `place`."""
    places = torch.tensor([-place, place], dtype=torch.double)
    return tuple((p, (v,)) for p, v in zip(places.tolist(), slope(places).tolist(), strict=True))


ACTIVATIONS: dict[str, Callable[..., Activation]] = {
    "relu": relu, "leaky_relu": leaky_relu, "elu": elu, "tanh": tanh, "sigmoid": sigmoid,
    "softplus": softplus, "silu": silu, "gelu": gelu,
}  # fmt: skip
