"""Whether an input is as likely as training inputs are: neither less nor more."""

import torch
from jaxtyping import Float64, Shaped
from torch import Tensor

from offmap.attempt import InputError
from offmap.measure import Paper
from offmap.score import Known, score
from offmap.scores.rows import Mapped
from offmap.scores.spread import flat, spread_of
from offmap.table import Subset

LEAST = 30  # training inputs
HELD = 3  # one in so many says what is usual
FLOOR = 1e-6  # of the mean variance: what directions get in which no input varies


def _fit(known: Known, *, variance: float = 0.9, generator: torch.Generator) -> dict[str, Tensor]:
    """A Gaussian fitted to two thirds of the inputs, and the mean log density of the last third.

    It has variances of its own along the leading components, and one across them all.

    Args:
        known: Where the inputs come from.
        variance: Share that the components with variances of their own carry.
        generator: Source of the split.

    Raises:
        ValueError: If the variance is out of range.
        InputError: If there are fewer than 30 inputs, or they are all the same.
    """
    count = len(known.inputs)
    if count < LEAST:
        raise InputError(f"expected at least {LEAST} training examples for a density, got {count}")
    order = torch.randperm(count, generator=generator)
    held, fitted = (part.sort().values for part in order.tensor_split([count // HELD]))
    rows = Mapped(Subset(known.inputs, fitted), flat)
    found = spread_of(rows, known.memory, generator=generator).leading(variance, None)
    d, k = found.axes.shape
    floor = FLOOR * found.total / d
    state = {
        "mean": found.mean,
        "axes": found.axes,
        "scale": found.variance.clamp_min(floor).sqrt(),
        "rest": torch.tensor(max(found.rest / max(1, d - k), floor), dtype=torch.double),
    }
    chunks = Subset(known.inputs, held).chunks()
    squares = torch.cat([_squared(chunk, **state) for chunk in chunks])
    return state | {"usual": squares.mean()}


def _squared(
    inputs: Shaped[Tensor, "n ..."],
    mean: Float64[Tensor, " d"],
    axes: Float64[Tensor, "d k"],
    scale: Float64[Tensor, " k"],
    rest: Float64[Tensor, ""],
) -> Float64[Tensor, " n"]:
    """Squared Mahalanobis distance: -2 log p, but for a constant."""
    apart = flat(inputs) - mean
    along = apart @ axes
    across = (apart - along @ axes.T).square().sum(dim=1)
    return (along / scale).square().sum(dim=1) + across / rest


@score(
    fit=_fit,
    says="How far the likelihood of an input is from that of training inputs, on either side.",
    caution=(
        "The density is a Gaussian, and each input is judged alone: what is neither too likely nor "
        "too unlikely for it looks familiar, whatever it shows."
    ),
    paper=Paper(
        "Nalisnick, Matsukawa, Teh and Lakshminarayanan (2019), Detecting out-of-distribution "
        "inputs to deep generative models using typicality",
        "https://arxiv.org/abs/1906.02994",
    ),
)
def typicality(
    inputs: Shaped[Tensor, "n ..."],
    /,
    mean: Float64[Tensor, " d"],
    axes: Float64[Tensor, "d k"],
    scale: Float64[Tensor, " k"],
    rest: Float64[Tensor, ""],
    usual: Float64[Tensor, ""],
) -> Float64[Tensor, " n"]:
    r"""Distance of the log density from its mean over training inputs, in nats.

    .. math:: \lvert -\log p(x) - H \rvert

    with p a Gaussian and H its cross entropy on training inputs that it was not fitted to. The
    likeliest input of all is the mean, which in many dimensions looks like none of the data: for
    d standard normals it lies d / 2 nats, or sqrt(d / 2) standard deviations, off.
    """
    return (_squared(inputs, mean, axes, scale, rest) - usual).abs() / 2
