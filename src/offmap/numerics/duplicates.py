"""Equal rows, found by digest: one pass over the rows, 16 bytes kept for each."""

from collections.abc import Iterable
from hashlib import blake2b

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

__all__ = ["also_among", "first_equal", "row_digests"]


def row_digests(chunks: Iterable[Tensor], dtype: torch.dtype | None = None) -> Int64[Tensor, "n 2"]:
    """A digest of each row's values, 128 bits of BLAKE2b: rows of equal digest are equal.

    That they might not be is a matter of principle: among a billion rows, the chance that any two
    different ones share a digest is below 1e-20. Values compare as numbers: 0 and -0 are equal.

    Args:
        chunks: The rows [m, ...] in order, some at a time.
        dtype: Type in which values are compared; their own if None. Rows of different types must
            be compared in one type.
    """
    pieces = [torch.empty(0, 2, dtype=torch.int64)]
    for chunk in chunks:
        values = chunk.detach().cpu().to(dtype or chunk.dtype).reshape(len(chunk), -1)
        if values.is_floating_point():
            values = values + 0.0  # -0 becomes 0
        content = values.contiguous().view(torch.uint8).numpy()
        digests = b"".join(blake2b(row, digest_size=16).digest() for row in content)
        pieces.append(torch.frombuffer(bytearray(digests), dtype=torch.int64).view(-1, 2))
    return torch.cat(pieces)


def first_equal(digests: Int64[Tensor, "n 2"]) -> Int64[Tensor, " n"]:
    """For each row the first row of the same digest; its own number where it is the first."""
    order = digests[:, 1].argsort(stable=True)
    order = order[digests[order, 0].argsort(stable=True)]
    ranked = digests[order]
    fresh = torch.ones(len(order), dtype=torch.bool)
    fresh[1:] = (ranked[1:] != ranked[:-1]).any(dim=1)
    first = torch.empty_like(order)
    first[order] = order[fresh][fresh.cumsum(0) - 1]  # stable sorts: the first of a run is lowest
    return first


def also_among(
    digests: Int64[Tensor, "n 2"], chunks: Iterable[Tensor], dtype: torch.dtype | None = None
) -> Bool[Tensor, " n"]:
    """Whether each of some rows stands among others too. Of these nothing is kept.

    Args:
        digests: Of the rows that are looked for.
        chunks: The others [m, ...], some at a time.
        dtype: Type in which they are compared, as in `row_digests`.
    """
    found = torch.zeros(len(digests), dtype=torch.bool)
    for chunk in chunks:
        seen = row_digests([chunk], dtype)
        seen = seen[torch.isin(seen[:, 0], digests[:, 0])]  # half a digest rules almost all out
        if len(seen):
            found |= first_equal(torch.cat([seen, digests]))[len(seen) :] < len(seen)
    return found
