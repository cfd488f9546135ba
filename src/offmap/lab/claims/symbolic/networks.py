"""Generators for the networks of a trial, one each, and the layer that meets the input."""

import torch
from torch import nn


def sources(count: int, generator: torch.Generator) -> list[torch.Generator]:
    """So many generators with seeds drawn from one."""
    seeds = torch.randint(2**62, (count,), generator=generator).tolist()
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def first_layer(network: nn.Module) -> nn.Linear:
    """The first linear layer."""
    return next(module for module in network.modules() if isinstance(module, nn.Linear))


def again(generators: list[torch.Generator]) -> list[torch.Generator]:
    """Generators that go on as these would: what they begin with can be looked at first."""
    return [generator.clone_state() for generator in generators]
