"""Every random number has an address: adding a measure moves no other number."""

from hashlib import blake2b

import torch
from jaxtyping import Int
from torch import Tensor


def derive(seed: int, *address: str | int) -> torch.Generator:
    """The generator of one unit of work, from the audit's seed and the unit's name."""
    text = "/".join(str(part) for part in (seed, *address))
    number = int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")
    return torch.Generator().manual_seed(number >> 1)


def sample(seed: int, what: str, n: int, most: int) -> Int[Tensor, " m"]:
    """At most `most` of `n` rows, drawn without replacement, in ascending order."""
    if n <= most:
        return torch.arange(n)
    return torch.randperm(n, generator=derive(seed, "sample", what))[:most].sort().values
