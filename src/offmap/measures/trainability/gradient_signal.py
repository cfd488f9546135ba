"""From how many of its training examples is the network still learning?"""

from collections.abc import Callable
from dataclasses import replace
from math import exp, log

import torch
from jaxtyping import Float
from torch import Tensor, nn

from offmap.attempt import CannotMeasure
from offmap.estimate import Estimate, bootstrap, exact, mean, replicates
from offmap.figures import Bars, Curve
from offmap.measure import Cost, Paper, measure
from offmap.measures.trainability.example_gradients import Gradients, example_gradients
from offmap.numerics.entropy import label_bits
from offmap.passes import evaluating
from offmap.reading import Reading
from offmap.run import Split

SILENT = 0.01  # of the root mean square norm: below it an example says next to nothing


@measure(
    asks="On how many training examples does the gradient rest?",
    unit="effective share of examples",
    span=(0.0, 1.0),
    better="neither",
    cost=Cost.BACKWARD,
    read="1: every example pulls equally hard. 0.1: the gradient is as concentrated as if one "
    "example in ten had all of it, so that a batch of 32 holds about three that teach.",
    caution="A network that has learned its data well is at a low value for a good reason: few "
    "examples are left. The length of a gradient says nothing about whether it is right: "
    "mislabeled examples have the longest ones. Read in evaluation mode, with cross-entropy (or "
    "squared error), whatever loss it was trained with.",
    next_step="Low while the test error is still high: look at the examples that carry the "
    "gradient (mislabeled, or rare and hard?), sample these more often, or use larger batches. "
    "Batches far above the gradient noise scale are a waste; far below it they mostly add noise.",
    paper=Paper("McCandlish et al. 2018", "https://arxiv.org/abs/1812.06162"),
)
def gradient_signal(
    model: nn.Module, train: Split, *, examples: int = 1000, generator: torch.Generator
) -> Reading:
    r"""Participation ratio of the lengths of per-example gradients of the loss.

    .. math:: \frac{(\sum_i \lVert g_i \rVert)^2}{n \sum_i \lVert g_i \rVert^2}

    between 1/n (one example has all of it) and 1 (all equal: the null). The gradients are
    computed twice, the second time to compare each with the sum of all, from which come
    the gradient noise scale :math:`\operatorname{tr} \Sigma / \lVert G \rVert^2`, unbiased in
    numerator and denominator, and its jackknife interval.

    Args:
        model: The trained network.
        train: What it was trained on.
        examples: How many training examples to look at, drawn at random.
        generator: Source of the sample and of the bootstrap.

    Raises:
        CannotMeasure: If no parameter requires a gradient, there are fewer than 20 examples, or
            every gradient is zero.
        ValueError: If fewer than 20 examples are asked for.
    """
    if examples < 20:
        raise ValueError(f"expected examples >= 20, got {examples}")
    if len(train) < 20:
        raise CannotMeasure(f"needs at least 20 training examples, got {len(train)}")
    sample = train.take(torch.randperm(len(train), generator=generator)[:examples].sort().values)
    with evaluating(model, gradients=True):
        loss, by_layer, dots = _look(model, sample)
    squared = torch.stack(list(by_layer.values())).sum(dim=0)  # [n]
    norm = squared.sqrt()
    if not bool(norm.any()):
        raise CannotMeasure("the gradient of every example is exactly zero")
    others = (dots - squared) / (len(norm) - 1)
    signal = jackknife(_signal, squared, others)
    parts = {
        "examples with next to no gradient": mean((norm < SILENT * squared.mean().sqrt()).double()),
        "examples that the others' mean gradient helps": mean((others > 0).double()),
        "squared length of the mean gradient": signal,
        **_bits(train, loss),
    }
    if signal.low > 0:  # then no example alone makes the mean: every logarithm below exists
        parts["gradient noise scale, in examples"] = noise_scale(squared, others)
    layers = {name: mean(values.sqrt()) for name, values in by_layer.items()}
    return Reading(
        bootstrap(_participation, norm, generator=generator),
        null=exact(1.0),
        parts=parts,
        figures=(_carriers(norm), Bars("Gradient by layer", "mean gradient norm", layers)),
        notes=() if signal.low > 0 else (
            f"The mean gradient of {len(norm)} examples cannot be told from zero: what a batch of "
            "that size or less adds is mostly noise, and the noise scale has no upper end.",
        ),
    )  # fmt: skip


def _look(model: nn.Module, sample: Split) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """Loss [n]; squared gradient norm [n] by layer; product [n] of each gradient with their sum."""
    total: dict[str, Tensor] = {}
    losses, squares = [], []
    for loss, gradients in example_gradients(model, sample):
        losses.append(loss.double().cpu())
        squares.append(_squares(gradients))
        for name, gradient in gradients.items():
            total[name] = total.get(name, 0) + gradient.sum(dim=0, dtype=torch.double)
    dots = [
        torch.stack(
            [g.flatten(1).double() @ total[name].flatten() for name, g in gradients.items()]
        ).sum(dim=0)
        for _, gradients in example_gradients(model, sample)
    ]
    by_layer = {name: torch.cat([square[name] for square in squares]) for name in squares[0]}
    return torch.cat(losses), by_layer, torch.cat(dots).cpu()


def _squares(gradients: Gradients) -> dict[str, Tensor]:
    """Squared norm [b] of each layer's gradient: the parameters of a module taken together."""
    found: dict[str, Tensor] = {}
    for name, gradient in gradients.items():
        layer = name.rpartition(".")[0] or name
        square = gradient.flatten(1).double().square().sum(dim=1).cpu()
        found[layer] = found.get(layer, 0) + square
    return found


def _participation(norm: Float[Tensor, " n"]) -> Float[Tensor, ""]:
    return norm.sum().square() / (len(norm) * norm.square().sum())


def noise_scale(squared: Float[Tensor, " n"], others: Float[Tensor, " n"]) -> Estimate:
    r"""Trace of the gradients' covariance over the squared length of their mean.

    Args:
        squared: :math:`\lVert g_i \rVert^2`.
        others: :math:`g_i \cdot \bar g_{-i}`, with the mean gradient of the other examples. Its
            mean is unbiased for the squared length, and `squared - others` for the trace.

    Returns:
        The ratio, from the jackknife on its logarithm.
    """

    def log_scale(squared: Tensor, others: Tensor) -> Tensor:
        trace = (squared - others).clamp_min(torch.finfo(torch.double).eps * squared)
        return trace.log() - others.log()

    found = jackknife(log_scale, squared, others)
    return replace(found, value=exp(found.value), low=exp(found.low), high=exp(found.high))


def jackknife(
    statistic: Callable[[Tensor, Tensor], Tensor],
    squared: Float[Tensor, " n"],
    others: Float[Tensor, " n"],
) -> Estimate:
    """Student's t over pseudo-values of a function of the means of `squared` and `others`.

    `others` is a mean over pairs, so that leaving out an example takes out two of its shares.
    """
    n = len(squared)
    left_squared = (n * squared.mean() - squared) / (n - 1)
    left_others = (n * others.mean() - 2 * others) / (n - 2)
    all_of_it = statistic(squared.mean(), others.mean())
    pseudo = n * all_of_it - (n - 1) * statistic(left_squared, left_others)
    return replace(replicates(pseudo), method="jackknife")


def _signal(_: Tensor, others: Tensor) -> Tensor:
    return others


def _bits(train: Split, loss: Float[Tensor, " n"]) -> dict[str, Estimate]:
    """What a label can say at most, and what the network has yet to hear of it."""
    targets = train.known_targets
    if targets is None or targets.is_floating_point():
        return {}
    return {
        "bits in a label": exact(label_bits(targets), len(train)),
        "bits of a label yet to learn": mean(loss / log(2)),
    }


def _carriers(norm: Float[Tensor, " n"]) -> Curve:
    """Share of the gradient's length by share of examples, at 101 points or fewer."""
    n = len(norm)
    held = norm.sort(descending=True).values.cumsum(0) / norm.sum()
    count = torch.linspace(0, n, min(n, 100) + 1).round().long()
    x = count.double() / n
    y = torch.cat([torch.zeros(1, dtype=torch.double), held])[count]
    return Curve(
        "Who carries the gradient", "share of examples, longest gradient first",
        "share of gradient length", x, {"measured": y, "all equal": x},
    )  # fmt: skip
