"""How fast do the network's probabilities change around the data?"""

import math

import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from offmap.attempt import CannotMeasure
from offmap.estimate import Estimate, mean, quantile
from offmap.figures import Histogram
from offmap.inputs import ClassPredictions, RealPredictions
from offmap.measure import Cost, Paper, measure
from offmap.passes import BATCH, device_of, evaluating
from offmap.reading import Reading
from offmap.run import Split

BINS = 40


def jacobian_norms(
    model: nn.Module, split: Split, *, projections: int = 32, generator: torch.Generator
) -> Float64[Tensor, "n 2"]:
    """Frobenius norm of the input Jacobian of each example, and the norm of the input.

    Of the softmax probabilities where the targets are classes, of the outputs otherwise. One
    backward pass a direction of the output gives the products for a whole batch, because examples
    do not meet in evaluation mode. Up to `projections` outputs the directions are the outputs
    themselves, and the norm is exact; beyond, they are random signs v, and the norm is the root of
    the mean of |v' J|^2, which is unbiased (Hutchinson 1990), within about 1 / sqrt(2 projections).

    Args:
        model: The network.
        split: The examples to read.
        projections: Most backward passes over a batch.
        generator: Source of the signs.

    Raises:
        ValueError: If projections < 1.
        CannotMeasure: If inputs are whole numbers, or the model passes no gradient to them.
    """
    if projections < 1:
        raise ValueError(f"expected projections >= 1, got {projections}")
    if not split.table.dtype.is_floating_point:
        raise CannotMeasure(f"whole numbers ({split.table.dtype}) have no gradient")
    known = split.known_targets
    classes = known is not None and not known.is_floating_point()
    rows = []
    with evaluating(model, gradients=True):
        for batch in split.batches(BATCH):
            inputs = batch.inputs.to(device_of(model)).requires_grad_()
            out = model(inputs).flatten(1).double()  # [b, c]
            out = out.softmax(dim=1) if classes else out
            if not out.requires_grad:
                raise CannotMeasure("the model passes no gradient to its input")
            square = torch.zeros(len(out), dtype=torch.double, device=out.device)
            for direction in _directions(out, projections, generator):
                (slope,) = torch.autograd.grad(out, inputs, direction, retain_graph=True)
                square += slope.flatten(1).double().square().sum(dim=1)
            size = inputs.detach().flatten(1).double().norm(dim=1)
            rows.append(torch.stack([square.sqrt(), size], dim=1).cpu())
    return torch.cat(rows)


def _directions(
    out: Float[Tensor, "b c"], most: int, generator: torch.Generator
) -> Float64[Tensor, "k b c"]:
    """Directions of the output, k at most, whose outer products sum to one on average."""
    b, c = out.shape
    if c <= most:
        return torch.eye(c, dtype=torch.double, device=out.device)[:, None].expand(c, b, c)
    signs = torch.randint(2, (most, b, c), generator=generator, device=generator.device)
    return (2.0 * signs - 1).double().to(out.device) / math.sqrt(most)


@measure(
    asks="How much do the predicted probabilities change for a small step of the input?",
    unit="probability per unit of input",
    span=(0.0, math.inf),
    better="lower",
    cost=Cost.MANY_PASSES,
    read="0.4: a step of length 0.1 moves the vector of probabilities by 0.04 at most. Far below "
    "the null: the network is flat where the data are and steep elsewhere. At the null or above: "
    "the data are no special place to it, as after training on random labels.",
    caution="Local: flat at a point can be steep a step away, and a saturated softmax looks flat. "
    "In the unit of the input: compare networks on the same data, or by the part without units. "
    "Mixes accuracy in: mistakes lie near boundaries, where the slope is large.",
    next_step="Penalize the input gradient, or train with augmentation or input noise; look first "
    "at the steepest examples, which are often mislabeled or ambiguous.",
    paper=Paper("Novak et al. 2018", "https://arxiv.org/abs/1802.08760"),
    per_example=jacobian_norms,
)
def input_jacobian(
    model: nn.Module,
    split: Split,
    predictions: ClassPredictions | RealPredictions,
    per_example: Float64[Tensor, "n 2"],
    *,
    examples: int = 128,
    projections: int = 32,
    generator: torch.Generator,
) -> Reading:
    r"""Mean Frobenius norm of the Jacobian of the probabilities with respect to the input.

    .. math:: \frac1n \sum_i \lVert \partial \operatorname{softmax} f(x_i) / \partial x \rVert_F

    For regression, of the outputs. The null is the same at inputs that are nowhere in particular:
    each number of an input is taken from another example, drawn for each number anew, so that
    every coordinate keeps its law and only what ties coordinates together is lost.

    Args:
        model: The network.
        split: The examples to read.
        predictions: Of the split.
        per_example: Norm of the Jacobian and of the input.
        examples: How many of these scrambled inputs are looked at.
        projections: Most backward passes over a batch; with more outputs, norms are estimated.
        generator: Source of the scrambling.

    Raises:
        ValueError: If fewer than two scrambled inputs are asked for.
    """
    if examples < 2:
        raise ValueError(f"expected examples >= 2, got {examples}")
    norms, sizes = per_example.unbind(dim=1)
    scrambled = _scrambled(split, examples, generator)
    null = jacobian_norms(model, scrambled, projections=projections, generator=generator)[:, 0]
    parts = {"times the size of the input": mean(norms * sizes.square().mean().sqrt())}
    if len(norms) >= 6:  # the least for an interval of a median
        parts["median"] = quantile(norms)
    groups = {"": norms}
    if isinstance(predictions, ClassPredictions):
        groups = {"hits": norms[predictions.correct], "mistakes": norms[~predictions.correct]}
        parts |= {name: mean(values) for name, values in groups.items() if len(values) > 1}
    steepest = int(norms.argmax())
    return Reading(
        _not_negative(mean(norms)),
        null=_not_negative(mean(null)),
        parts={name: _not_negative(part) for name, part in parts.items()},
        per_example=norms,
        figures=(_histogram(groups, norms.max().item()),),
        notes=(f"Steepest at row {steepest} of {split.name}: {norms[steepest].item():.3g}.",),
    )


def _not_negative(estimate: Estimate) -> Estimate:
    """The estimate of a norm, whose interval need not go below zero."""
    low = max(0.0, estimate.low)
    return Estimate(estimate.value, low, estimate.high, estimate.method, estimate.n)


def _scrambled(split: Split, examples: int, generator: torch.Generator) -> Split:
    """Inputs whose every number comes from another of a few examples of the split."""
    chosen = split.take(torch.randperm(len(split), generator=generator)[:examples])
    flat = chosen.inputs.flatten(1)
    order = torch.rand(flat.shape, generator=generator).argsort(dim=0).to(flat.device)
    return Split(
        flat.gather(0, order).view(chosen.inputs.shape), chosen.known_targets, name=split.name
    )


def _histogram(groups: dict[str, Tensor], top: float) -> Histogram:
    """Norms of each group in common bins."""
    edges = torch.linspace(0, top or 1.0, BINS + 1, dtype=torch.double)
    counts = {name: torch.histogram(values, edges)[0] for name, values in groups.items()}
    return Histogram(
        "Slope of the network at each example", "Frobenius norm of the Jacobian", edges, counts
    )
