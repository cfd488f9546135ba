"""Networks of a head alone, on features that a test makes."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from offmap.inputs import Features
from offmap.score import FittedScore, Known, Score
from offmap.table import TensorTable


@pytest.fixture
def behind() -> Callable[..., Known]:
    """What is known of a network that ends with `head`, and then `after`, on `features` [n d]."""

    def make(features: Tensor, head: nn.Linear, after=lambda out: out, memory=2**30) -> Known:
        with torch.no_grad():
            logits = after(head(features))
        return Known(
            inputs=TensorTable(features),
            targets=logits.argmax(dim=1),
            logits=logits,
            features=Features(TensorTable(features), "head", memory),
            head=head,
            memory=memory,
        )

    return make


@pytest.fixture
def answering() -> Callable[[Tensor], Known]:
    """What is known of a network that shows nothing but its answers, `logits` [n c]."""

    def make(logits: Tensor) -> Known:
        return Known(TensorTable(logits), logits.argmax(dim=1), logits, None, None, 2**30)

    return make


@pytest.fixture
def fit() -> Callable[..., FittedScore]:
    """A score, fitted from a fixed seed."""

    def fitted(score: Score, known: Known, **settings) -> FittedScore:
        return score.fitted(known, generator=torch.Generator().manual_seed(0), **settings)

    return fitted


@pytest.fixture
def in_small_reads(monkeypatch) -> None:
    """Tables are read a few rows at a time, as where they do not fit into memory."""
    monkeypatch.setattr("offmap.table.CHUNK_BYTES", 512)


@pytest.fixture
def linear() -> Callable[..., nn.Linear]:
    """A head from `d` features to `c` classes, drawn from a seed."""

    def make(d: int, c: int, *, bias: bool = True, seed: int = 0) -> nn.Linear:
        head = nn.Linear(d, c, bias=bias)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for weight in head.parameters():
                weight.copy_(torch.randn(weight.shape, generator=generator))
        return head

    return make


@pytest.fixture
def labeled() -> Callable[..., Known]:
    """What is known of a network with `features` [n d], which are its inputs too, and `labels`."""

    def make(features: Tensor, labels: Tensor | None, *, classes=None, memory=2**30) -> Known:
        logits = None
        if labels is not None:
            logits = nn.functional.one_hot(labels, classes or -1).float()
        table = TensorTable(features)
        return Known(table, labels, logits, Features(table, "head", memory), None, memory)

    return make
