"""How sure is the network of inputs that lie far from all data?"""

import math
from collections.abc import Mapping
from itertools import pairwise

import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from offmap.attempt import CannotMeasure
from offmap.estimate import TAIL, Estimate, exact, proportion
from offmap.figures import Curve
from offmap.inputs import ClassPredictions
from offmap.measure import Cost, Paper, measure
from offmap.measures.strong_generalization.noise import box_of, mean_probability, sampled
from offmap.numerics.certainty import confidence_at_infinity, log_doubt
from offmap.passes import BATCH, device_of, evaluating
from offmap.reading import Reading
from offmap.run import Domain, Split

SCALES = (1.0, 2.0, 5.0, 10.0, 100.0, 1000.0)


@measure(
    asks="How sure is the network of inputs that lie far from all data?",
    unit="probability",
    span=(0.0, 1.0),
    better="lower",
    cost=Cost.MANY_PASSES,
    read="Mean confidence at the largest scale. 0.999: a thousand times as far out as any data the "
    "network is sure of itself, as every network of piecewise-linear layers comes to be on almost "
    "every ray. The null, 1 over the number of classes: it knows that it was never there.",
    caution="About scaling up alone: nonsense of ordinary size is the matter of `noise_answers`. "
    "Where the domain is bounded, a check of the range stops these inputs, and the reading says "
    "what happens without one. Layers that normalize the input make all of a ray look alike.",
    next_step="Put a guard in front (`offmap guard`): distance to the training data grows with the "
    "scale, while every score made of the logits goes the wrong way.",
    paper=Paper("Hein, Andriushchenko and Bitterwolf 2019", "https://arxiv.org/abs/1812.05720"),
)
def far_confidence(
    model: nn.Module,
    test: Split,
    test_predictions: ClassPredictions,
    domain: Domain,
    *,
    scales: tuple[float, ...] = SCALES,
    rays: int = 500,
    certain: float = 1e-6,
    generator: torch.Generator,
) -> Reading:
    r"""Mean confidence of the network at :math:`a x`, for the largest a.

    .. math:: \frac1n \sum_i \max_k \operatorname{softmax}_k f(a x_i)

    Half of the rays go from zero through test inputs, half through uniform noise in the domain (in
    the range of the data where it has no bounds). The logarithm of 1 - confidence is computed from
    the logits in float64, and so does not saturate where the confidence itself rounds to 1.

    The limit is exact where the logits are straight lines in a by then, checked at once, twice and
    four times the largest scale: 1 where one logit rises fastest (almost everywhere, for a network
    of piecewise-linear layers: the theorem of the paper); the confidence there where all rise
    alike, as in a bounded network; elsewhere the ray is left out.

    Args:
        model: The network.
        test: Where the data's rays come from.
        test_predictions: What the network says there.
        domain: The contract of an input.
        scales: How far out to look, increasing.
        rays: Rays through test inputs, and as many through noise.
        certain: A probability of error below which a network counts as certain.
        generator: Source of the noise and the sample.

    Raises:
        ValueError: If the scales are not positive and increasing, or rays < 2.
        CannotMeasure: If inputs are tokens or whole numbers, or there is one class, or the output
            is not finite that far out.
    """
    if not scales or any(a >= b for a, b in pairwise((0.0, *scales))):
        raise ValueError(f"expected positive, increasing scales, got {scales}")
    if rays < 2 or not 0 < certain < 1:
        raise ValueError(f"expected rays >= 2 and certain in (0, 1), got {rays} and {certain}")
    inputs = sampled(test, domain, rays, generator)
    if not inputs.is_floating_point():
        raise CannotMeasure(f"whole numbers ({inputs.dtype}) cannot be scaled far out")
    classes = test_predictions.logits.shape[1]
    if classes < 2:
        raise CannotMeasure("a network with one class is always certain")
    out = scales[-1]
    starts = {"test inputs": inputs, "noise": box_of(inputs, domain).uniform(rays, generator)}
    logits = {
        name: _along(model, start.to(inputs.dtype), (*scales, 2 * out, 4 * out))
        for name, start in starts.items()
    }
    doubts = {name: log_doubt(values[:-2]) for name, values in logits.items()}
    far = torch.cat([doubt[-1] for doubt in doubts.values()])
    sure = proportion(int((far <= math.log(certain)).sum()), len(far))
    return Reading(
        mean_probability(-far.expm1()),
        null=exact(1 / classes),
        parts={
            "on test, unscaled": mean_probability(test_predictions.probs.amax(dim=1)),
            **{f"through {k}": mean_probability(-v[-1].expm1()) for k, v in doubts.items()},
            f"within {certain:g} of certainty": sure,
            **_limits(logits),
        },
        figures=_figures(doubts, scales, classes),
        notes=(
            f"Of rays through test inputs and noise, {100 * sure.value:.0f} % are within "
            f"{certain:g} of certainty at {out:g} times.",
            *_contract(domain, out),
        ),
    )


def _along(
    model: nn.Module, start: Float[Tensor, "m ..."], scales: tuple[float, ...]
) -> Float[Tensor, "scales m c"]:
    """The logits at each scale of each ray.

    Raises:
        CannotMeasure: If they are not finite.
    """
    device, rows = device_of(model), []
    with evaluating(model):
        for scale in scales:
            logits = torch.cat([model((scale * part).to(device)) for part in start.split(BATCH)])
            if not bool(logits.isfinite().all()):
                raise CannotMeasure(
                    f"the network's output is not finite at {scale:g} times an input: set scales "
                    "that end sooner"
                )
            rows.append(logits.cpu())
    return torch.stack(rows)


def _limits(logits: Mapping[str, Float[Tensor, "scales m c"]]) -> dict[str, Estimate]:
    """Mean confidence infinitely far out, on the rays where it is known, and how many these are."""
    limit = torch.cat([confidence_at_infinity(*values[-3:]) for values in logits.values()])
    known = limit[~limit.isnan()]
    parts = {"rays whose limit is known": proportion(len(known), len(limit))}
    if len(known) > 1:
        parts["in the limit, on these rays"] = mean_probability(known)
    return parts


def _figures(
    doubts: dict[str, Float64[Tensor, "scales m"]], scales: tuple[float, ...], classes: int
) -> tuple[Curve, ...]:
    """Mean confidence by scale, and the doubt that is left, as a power of ten."""
    x = torch.tensor(scales, dtype=torch.double)
    found = {
        f"through {k}": [mean_probability(-row.expm1()) for row in v] for k, v in doubts.items()
    }

    def line(end: str) -> dict[str, Tensor]:
        return {
            name: torch.tensor([getattr(e, end) for e in row], dtype=torch.double)
            for name, row in found.items()
        }

    tails = torch.tensor([TAIL, 0.5, 1 - TAIL], dtype=torch.double)
    powers = {
        f"through {name}": (doubt / math.log(10)).quantile(tails, dim=1)
        for name, doubt in doubts.items()
    }
    chance = {"knows nothing": torch.full_like(x, 1 / classes)}
    return (
        Curve(
            "Confidence on the way out", "times the input", "mean confidence", x,
            line("value") | chance, line("low"), line("high"), log_x=True,
        ),
        Curve(
            "Doubt on the way out: the median ray, and 95 % of rays", "times the input",
            "log10 of (1 - confidence)", x, {k: v[1] for k, v in powers.items()},
            {k: v[0] for k, v in powers.items()}, {k: v[2] for k, v in powers.items()}, log_x=True,
        ),
    )  # fmt: skip


def _contract(domain: Domain, out: float) -> tuple[str, ...]:
    """What a check of the range does to inputs this far out."""
    bounds = [bound for bound in (domain.low, domain.high) if bound is not None]
    if not any(bounds) or out <= 1:  # what is not negative stays so
        return ()
    low, high = ("" if b is None else f"{b:g}" for b in (domain.low, domain.high))
    return (f"Inputs this far out leave the domain [{low}, {high}]: check the range before use.",)
