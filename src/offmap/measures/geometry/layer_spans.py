"""Directions that the inputs of a network's layers never take, and the weights that read them."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

import torch
from jaxtyping import Shaped
from torch import Tensor, nn
from torch.nn import functional

from offmap.estimate import Estimate, exact
from offmap.measures.geometry.off_span import share
from offmap.numerics.span import Moments, Span, energies, frozen
from offmap.passes import BATCH, captured, device_of, evaluating, named_layer, weight_layers
from offmap.run import Split

ROWS = 4096  # of what a layer reads, or FOLD for each direction if that is more
FOLD = 4
PLENTY = 2  # rows for each direction below which too many would look unseen

Weighted = nn.Linear | nn.Conv2d


@dataclass(frozen=True, slots=True, eq=False)
class LayerShares:
    """By layer: what share of what it reads, and of its weights, lies in unseen directions."""

    inputs: dict[str, Estimate] = field(default_factory=dict)
    weights: dict[str, Estimate] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def layer_shares(
    model: nn.Module,
    sample: Split,
    split: Split,
    span: Span,
    *,
    largest: int,
    generator: torch.Generator,
) -> LayerShares:
    """For each linear and convolutional layer, from what it reads on a sample of train.

    A layer that reads the inputs as they are, and has a bias, is held against the span of all of
    train. Of patches, random ones are taken.

    Args:
        model: The network.
        sample: Of train.
        split: The examples to read.
        span: The affine hull of all training inputs.
        largest: Most dimensions in which directions are sought.
        generator: Source of the patches.
    """
    shares = LayerShares()
    layers = _layers(model, shares, largest)
    if not layers:
        return shares
    spans = _spans(model, sample, layers, span, shares, generator)
    found: dict[str, list[Tensor]] = {name: [] for name in spans}
    for _, batch in _rows(model, split, layers):
        for name in spans:
            rows = batch[name]
            off, whole = energies(spans[name], rows.flatten(0, 1))
            off, whole = (energy.view(rows.shape[:2]).sum(dim=1) for energy in (off, whole))
            found[name].append((off / whole).where(whole > 0, 0.0).clamp(0, 1))
    for name, parts in found.items():
        shares.inputs[name] = share(torch.cat(parts))
        shares.weights[name] = exact(_untrained(spans[name], layers[name]), spans[name].rows)
    return shares


def _layers(model: nn.Module, shares: LayerShares, largest: int) -> dict[str, Weighted]:
    """Layers that multiply rows of their input with a matrix; of the others, a note."""
    layers: dict[str, Weighted] = {}
    for name in weight_layers(model):
        layer, reason = named_layer(model, name), ""
        if not isinstance(layer, nn.Linear | nn.Conv2d):
            reason = f"its rows are not those of a matrix ({type(layer).__name__})"
        elif isinstance(layer, nn.Conv2d) and (
            layer.groups > 1 or layer.padding_mode != "zeros" or isinstance(layer.padding, str)
        ):
            reason = "only convolutions with one group and zero padding by numbers are read"
        elif (d := layer.weight[0].numel()) > largest:
            reason = f"{d} dimensions are too many"
        else:
            layers[name] = layer
        if reason:
            shares.notes.append(f"Layer {name} is left out: {reason}.")
    return layers


def _spans(
    model: nn.Module,
    sample: Split,
    layers: Mapping[str, Weighted],
    span: Span,
    shares: LayerShares,
    generator: torch.Generator,
) -> dict[str, Span]:
    """The span of what each layer reads."""
    moments = {
        name: Moments(layer.weight[0].numel(), affine=layer.bias is not None)
        for name, layer in layers.items()
    }
    raw = {name for name, layer in layers.items() if layer.bias is not None}
    for inputs, batch in _rows(model, sample, layers):
        raw = {name for name in raw & batch.keys() if _same(batch[name], inputs)}
        for name, rows in batch.items():
            wanted = max(ROWS, FOLD * rows.shape[2]) * len(rows) // len(sample) + 1
            rows = rows.flatten(0, 1)
            if wanted < len(rows):
                rows = rows[torch.randperm(len(rows), generator=generator)[:wanted]]
            if name not in raw:
                moments[name].add(rows)
    spans = dict.fromkeys(raw, span)
    for name, sums in moments.items():
        if name in raw or not sums.count:
            continue
        if sums.count < PLENTY * len(sums.about):
            shares.notes.append(
                f"Layer {name} is left out: {sums.count} rows are too few for "
                f"{len(sums.about)} directions: raise `examples`."
            )
            continue
        spans[name] = sums.span(span.tolerance)
    return {name: spans[name] for name in layers if name in spans}


def _same(rows: Tensor, inputs: Tensor) -> bool:
    """Whether a layer reads the inputs as they are."""
    return rows.shape[1] == 1 and torch.equal(rows[:, 0], inputs.flatten(1).to(rows))


def _rows(
    model: nn.Module, split: Split, layers: Mapping[str, Weighted]
) -> Iterator[tuple[Tensor, dict[str, Shaped[Tensor, "b r _"]]]]:
    """Each batch of inputs, with what each layer reads of it: r rows an example."""
    for batch in split.batches(BATCH):
        inputs = batch.inputs.to(device_of(model))
        with evaluating(model), ExitStack() as hooks:
            caught = [hooks.enter_context(captured(model, inputs_of=name)) for name in layers]
            model(inputs)
        found = {name: values for one in caught for name, values in one.items()}
        yield inputs, {name: _unfolded(layers[name], found[name], len(batch)) for name in found}


def _unfolded(layer: Weighted, inputs: Tensor, examples: int) -> Shaped[Tensor, "b r d"]:
    if isinstance(layer, nn.Linear):
        return inputs.reshape(examples, -1, layer.in_features)
    assert not isinstance(layer.padding, str)
    size, dilation, padding, stride = (
        (one, other)
        for one, other in (layer.kernel_size, layer.dilation, layer.padding, layer.stride)
    )
    return functional.unfold(inputs, size, dilation, padding, stride).transpose(1, 2)


def _untrained(span: Span, layer: Weighted) -> float:
    """Length of the part of weights and bias that gradients never moved, over that of the whole."""
    whole = [layer.weight.detach().flatten(1)]
    whole += [] if layer.bias is None else [layer.bias.detach()]
    still = [part for part in frozen(span, *whole) if part is not None]
    part, all_ = (sum(w.double().square().sum().item() for w in side) for side in (still, whole))
    return (part / all_) ** 0.5 if all_ else 0.0
