"""Waves on an interval, and ReLU networks with one hidden layer made to pass through them."""

from math import pi
from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor, nn

from offmap.lab.claims.symbolic.networks import first_layer
from offmap.lab.worlds import gaussian
from offmap.models.mlp import MLP

LENGTH = 2 * pi  # of the interval, which begins at zero
FINE = 64  # points in each piece at which errors are looked at


class Wave(NamedTuple):
    """A sum of sines of whole frequencies."""

    amplitude: Float64[Tensor, " k"]
    phase: Float64[Tensor, " k"]

    @property
    def frequency(self) -> Float64[Tensor, " k"]:
        """Of each sine: 1, 2, ..."""
        return torch.arange(1, len(self.amplitude) + 1, dtype=torch.double)

    def at(self, x: Float64[Tensor, " n"], order: int = 0) -> Float64[Tensor, " n"]:
        """Its derivative of even order."""
        factor = (-self.frequency.square()) ** (order // 2) * self.amplitude
        return (x[:, None] * self.frequency + self.phase).sin() @ factor

    @property
    def curvature(self) -> float:
        """The largest second derivative in size, from above: on a grid, and what lies between."""
        x = torch.linspace(0, LENGTH, 2**14 + 1, dtype=torch.double)
        third = (self.frequency**3 * self.amplitude.abs()).sum()
        return (self.at(x, 2).abs().max() + third * (x[1] - x[0]) / 2).item()


def sine() -> Wave:
    """The sine itself."""
    return Wave(torch.ones(1, dtype=torch.double), torch.zeros(1, dtype=torch.double))


def wave(frequencies: int, *, generator: torch.Generator) -> Wave:
    """A random one, of so many frequencies."""
    phase = LENGTH * torch.rand(frequencies, generator=generator, dtype=torch.double)
    return Wave(gaussian(1, frequencies, generator=generator)[0], phase)


def interpolant(target: Wave, pieces: int) -> MLP:
    """A network that passes through the target at pieces + 1 points, straight in between.

    One hidden unit, a hinge, for each piece: it begins where the piece does, and turns the slope
    into that of the piece.
    """
    x = torch.linspace(0, LENGTH, pieces + 1, dtype=torch.double)
    y = target.at(x)
    slope = y.diff() / x.diff()
    with torch.random.fork_rng(devices=[]):  # what it is born with is replaced
        net = MLP(1, (pieces,), 1).double()
    with torch.no_grad():
        hinge = first_layer(net)
        hinge.weight.fill_(1.0)
        hinge.bias.copy_(-x[:-1])
        net.head.weight.copy_(torch.cat([slope[:1], slope.diff()])[None])
        net.head.bias.copy_(y[:1])
    return net


def largest_error(network: nn.Module, target: Wave, pieces: int, *, times: int = 1) -> float:
    """The largest error on the interval, or on one so many times as long, at points of each piece.

    The middle of a piece, where the bound is met, is one of the points.
    """
    x = torch.linspace(0, times * LENGTH, times * pieces * FINE + 1, dtype=torch.double)
    with torch.no_grad():
        return (network(x[:, None])[:, 0] - target.at(x)).abs().max().item()


def bound(target: Wave, pieces: int) -> float:
    """What the error of the interpolant cannot exceed."""
    return (LENGTH / pieces) ** 2 / 8 * target.curvature
