"""What a guard sees of an input: the network's answer, and the features that its head reads."""

import copy
from collections.abc import Iterator
from threading import get_ident

import torch
from jaxtyping import Float
from torch import Tensor, nn

from offmap.attempt import Failure, InputError, attempt
from offmap.inputs import Features
from offmap.passes import BATCH, device_of, evaluating, flat, named_layer
from offmap.run import Split
from offmap.score import Known, Seen
from offmap.sources.store import Block, store


class _Catch:
    """A hook that keeps what its layer was given. An object, so that copies keep it apart."""

    def __init__(self) -> None:
        self.seen: dict[int, Tensor] = {}  # by thread: a server may ask from several

    def __call__(self, _: nn.Module, given: tuple[Tensor, ...]) -> None:
        self.seen[_thread()] = given[0].clone()  # the layer may work in place

    def take(self) -> Tensor | None:
        """What was kept in this thread; it is gone afterwards."""
        return self.seen.pop(_thread(), None)


def _thread() -> int:
    # the compiler cannot follow the question, and what it makes has no state to keep apart
    return 0 if torch.compiler.is_compiling() else get_ident()


class Sight(nn.Module):
    """A frozen copy of a network that shows the input of its head beside its answer.

    It stays in evaluation mode, and the user's own network can go on training.

    Args:
        model: The network.
        layer: The layer whose input is the feature vector; None: the network shows none.
        classifies: Whether its outputs are class scores.

    Raises:
        InputError: If the network cannot be copied, or has no such layer.
    """

    def __init__(self, model: nn.Module, layer: str | None, *, classifies: bool) -> None:
        super().__init__()
        twin = attempt(lambda: copy.deepcopy(model))
        if isinstance(twin, Failure):
            raise InputError(f"expected a model that copy.deepcopy can copy, got {twin.summary}")
        self.model = twin.requires_grad_(False)
        self.layer, self.classifies = layer, classifies
        self._catch = _Catch()
        if layer is not None:
            named_layer(self.model, layer).register_forward_pre_hook(self._catch)
        self.train(False)

    def train(self, mode: bool = True) -> "Sight":
        """Nothing: a guard judges the network in evaluation mode alone."""
        return super().train(False)

    def look(self, inputs: Tensor) -> tuple[Tensor, Seen]:
        """The network's outputs [n, ...] for inputs [n, ...], and what a score may see."""
        self._catch.take()  # what a pass that failed may have left
        out = self.model(inputs.clone())  # which may work in place: scores see what was given
        caught = self._catch.take()
        features = None if caught is None else flat(caught)
        return out, Seen(inputs, out if self.classifies else None, features)

    def forward(self, inputs: Tensor) -> Seen:
        """What a score may see of inputs [n, ...]."""
        return self.look(inputs)[1]

    @property
    def head(self) -> nn.Linear | None:
        """The layer that reads the features, if it is linear."""
        layer = None if self.layer is None else named_layer(self.model, self.layer)
        return layer if isinstance(layer, nn.Linear) else None


def known(sight: Sight, split: Split, memory: int, *, tokens: bool = False) -> Known:
    """What scores may be fitted on: the training split, and the network's answers to it.

    Args:
        sight: The network.
        split: What it was trained on.
        memory: Bytes; features that take more than half of it go to a temporary file.
        tokens: Whether the inputs are token numbers.
    """
    logits: list[Tensor] = []
    features = None
    with evaluating(sight):
        if sight.layer is None:
            for seen in views(sight, split):
                logits += [] if seen.logits is None else [seen.logits.cpu()]
        else:
            blocks = _features(sight, split, logits)
            table = store(blocks, len(split), memory=memory, cache=None)
            features = Features(table, sight.layer, memory)
    return Known(
        inputs=split.table,
        targets=split.known_targets if sight.classifies else None,
        logits=torch.cat(logits) if logits else None,
        features=features,
        head=sight.head,
        memory=memory,
        tokens=tokens,
    )


def views(sight: Sight, split: Split) -> Iterator[Seen]:
    """What a score may see of each batch of a split, in order."""
    device = device_of(sight)
    for batch in split.batches(BATCH):
        yield sight(batch.inputs.to(device))


def scores_of(score: nn.Module, sight: Sight, split: Split) -> Float[Tensor, " n"]:
    """How strange each example of a split is to a fitted score, float64, on the CPU."""
    with evaluating(sight), evaluating(score):
        return torch.cat([score(seen).cpu() for seen in views(sight, split)])


def _features(sight: Sight, split: Split, logits: list[Tensor]) -> Iterator[Block]:
    """The features of each batch; its logits go into the list on the way.

    Raises:
        InputError: If the layer is not called, or sees numbers that are none.
    """
    first = 0
    for seen in views(sight, split):
        if seen.features is None:
            raise InputError(
                f"expected layer {sight.layer!r} to be called on every pass, got a pass without: "
                "set feature_layer to one that is"
            )
        finite = seen.features.isfinite().all(dim=1)
        if not bool(finite.all()):
            bad = first + int((~finite).nonzero()[0])
            raise InputError(
                f"{split.name}: expected finite features at the input of {sight.layer!r}, got NaN "
                f"or infinity at row {bad}: look at this input and at the weights"
            )
        first += len(finite)
        logits += [] if seen.logits is None else [seen.logits.cpu()]
        yield f"features of {split.name}", seen.features.cpu().numpy()
