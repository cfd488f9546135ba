"""What a network makes of directions that its training data never take."""

import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from offmap.estimate import Estimate, mean, proportion
from offmap.numerics.span import Span, faint
from offmap.passes import BATCH, device_of, evaluating, outputs
from offmap.run import Domain, Split


def share(rows: Float[Tensor, " n"]) -> Estimate:
    """The mean of numbers between 0 and 1, and so its interval."""
    found = mean(rows)
    value = min(1.0, max(0.0, found.value))
    low, high = max(0.0, found.low), min(1.0, found.high)
    return Estimate(value, min(low, value), max(high, value), found.method, found.n)


def slope_shares(
    model: nn.Module, split: Split, span: Span, *, level: float, generator: torch.Generator
) -> dict[str, Estimate]:
    """How much of the squared slope points where train never goes, and where it barely goes.

    Of the slope of a combination of the outputs with random signs, one for each example: over
    signs, its mean square is that of the whole Jacobian. Empty where inputs take no gradient.
    """
    never, barely = [], []
    with evaluating(model, gradients=True):
        for batch in split.batches(BATCH):
            if not batch.inputs.is_floating_point():
                return {}
            inputs = batch.inputs.to(device_of(model)).requires_grad_()
            out = model(inputs)
            if not out.requires_grad:
                return {}
            signs = torch.randint(2, out.shape, generator=generator) * 2 - 1
            (slope,) = torch.autograd.grad(out, inputs, signs.to(out))
            slope = slope.flatten(1).cpu().double()
            whole = slope.square().sum(dim=1)
            off = span.along(slope).square().sum(dim=1)
            never.append((off / whole).where(whole > 0, 0.0))
            if span.moment is not None:
                barely.append(faint(span, slope, level=level))
    found = {"slope of the network: in unseen directions": share(torch.cat(never))}
    if barely:
        found["slope of the network: in directions barely taken"] = share(torch.cat(barely))
    return found


def noise_changes(
    model: nn.Module,
    split: Split,
    span: Span,
    domain: Domain,
    *,
    classes: bool,
    generator: torch.Generator,
) -> dict[str, Estimate]:
    """What noise does in unseen directions, and in the others where it is as long.

    To each coordinate along them is added Gaussian noise with the mean square that a coordinate
    of the training data has; what is flat in train is kept in the domain's range.

    Args:
        model: The network.
        split: The examples to move.
        span: Of the training inputs.
        domain: Range of an input.
        classes: Whether to count other classes, or else the squared change over the spread of
            the outputs.
        generator: Source of the noise.
    """
    inputs = split.inputs.flatten(1).cpu().double()
    sigma = (span.variance / len(span.center)) ** 0.5

    def noise(columns: int) -> Float64[Tensor, "m columns"]:
        return torch.randn(len(inputs), columns, generator=generator, dtype=torch.double)

    unseen = inputs + span.lifted(sigma * noise(span.codimension))
    if domain.low is not None or domain.high is not None:
        unseen[:, span.flat] = unseen[:, span.flat].clamp(domain.low, domain.high)
    length = (unseen - inputs).norm(dim=1, keepdim=True)
    other = noise(inputs.shape[1])
    other -= span.lifted(span.along(other))
    other *= length / other.norm(dim=1, keepdim=True).clamp_min(torch.finfo(other.dtype).tiny)
    before, never, seen = (
        _answers(model, points.to(split.inputs.dtype).view(split.inputs.shape))
        for points in (inputs, unseen, inputs + other)
    )
    what = "predictions changed by noise" if classes else "outputs moved by noise, in their spread"
    return {
        f"{what}: in unseen directions": _change(before, never, classes=classes),
        f"{what}: in others": _change(before, seen, classes=classes),
    }


def _answers(model: nn.Module, inputs: Tensor) -> Float64[Tensor, "m c"]:
    with evaluating(model):
        answers = [out.cpu().double().flatten(1) for _, out in outputs(model, Split(inputs))]
    return torch.cat(answers)


def _change(
    before: Float64[Tensor, "m c"], after: Float64[Tensor, "m c"], *, classes: bool
) -> Estimate:
    if classes:
        changed = before.argmax(dim=1) != after.argmax(dim=1)
        return proportion(int(changed.sum()), len(changed))
    square = (after - before).square().sum(dim=1)
    spread = (before - before.mean(dim=0)).square().sum(dim=1).mean()
    return mean(square / spread if spread > 0 else (square > 0).double())
