"""A bank of a score behind an index of the faiss library: `pip install 'offmap[faiss]'`."""

from importlib import import_module
from typing import Any

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from offmap.attempt import Failure, InputError, attempt
from offmap.estimate import Estimate, mean
from offmap.numerics.bank import SPARE, nearest, ranked

LINKS = 32  # of each row in the graph: more are slower and find more


class FaissIndex:
    """Rows that faiss searches: every one of them, or along a graph of near ones (HNSW).

    faiss proposes on the CPU; distances are those of `numerics.bank.nearest`, with gradients. It is
    no part of an exported program: `fitted.searching(FaissIndex(fitted.bank))`.

    Args:
        bank: The rows, as the fitted score keeps them.
        approximate: Whether to search along a graph, which finds most of the nearest rows in a
            small part of the time; how many, `recall` says.
        effort: Rows kept in view on the graph: more are slower and find more.

    Raises:
        InputError: If faiss is not installed.
    """

    def __init__(
        self, bank: Float[Tensor, "m d"], *, approximate: bool = False, effort: int = 64
    ) -> None:
        faiss = attempt(lambda: import_module("faiss"))
        if isinstance(faiss, Failure):
            raise InputError(
                f"expected faiss for an index, got {faiss.summary}: pip install 'offmap[faiss]'"
            )
        self.bank = bank.detach().float()
        self.approximate = approximate
        self._index: Any = faiss.IndexFlatL2(bank.shape[1])
        if approximate:
            self._index = faiss.IndexHNSWFlat(bank.shape[1], LINKS)
            self._index.hnsw.efSearch = effort
        self._index.add(self.bank.cpu().contiguous().numpy())

    def nearest(
        self, queries: Float[Tensor, "n d"], k: int
    ) -> tuple[Float64[Tensor, "n k"], Int64[Tensor, "n k"]]:
        """Distance to the k nearest rows that the index finds, nearest first, and their numbers.

        Raises:
            ValueError: If k is out of range.
        """
        if not 1 <= k <= len(self.bank):
            raise ValueError(f"expected k from 1 to the {len(self.bank)} rows, got {k}")
        asked = queries.detach().float().cpu().contiguous().numpy()
        _, found = self._index.search(asked, min(k + SPARE, len(self.bank)))
        index = torch.from_numpy(found).to(queries.device)
        if bool((index < 0).any()):  # the graph ended before it had so many
            return nearest(queries, self.bank, k=k)
        return ranked(queries.to(self.bank.dtype), self.bank, index, k)

    def recall(self, queries: Float[Tensor, "n d"], k: int) -> Estimate:
        """The share of the k nearest rows that the index finds, a mean over queries.

        Args:
            queries: Rows like those to come, and none of the bank.
            k: How many neighbors the score asks for.
        """
        limit = nearest(queries, self.bank, k=k)[0][:, -1:]
        found = self.nearest(queries, k)[0] <= limit
        return mean(found.double().mean(dim=1))
