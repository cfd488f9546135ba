"""Does the network's confidence say how often it is right?"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import one_hot

from offmap.attempt import CannotMeasure
from offmap.estimate import TAIL, Estimate, exact, mean, proportion
from offmap.figures import Curve
from offmap.inputs import ClassPredictions
from offmap.measure import Cost, Paper, measure
from offmap.reading import Reading

SMALLEST = 20  # examples in a bin
AT_ONCE = 2**22  # examples of drawn data in memory: 32 MiB


@measure(
    asks="How far is the confidence in an answer from the share of such answers that are right?",
    unit="probability",
    span=(0.0, 1.0),
    better="lower",
    cost=Cost.FORWARD,
    read="0: of answers given with 80 % confidence, 80 % are right, and so at every level. "
    "0.05: confidence is typically (root mean square) off by five percentage points. The null is "
    "what a perfectly calibrated network would show on this many examples.",
    caution="Of the chosen class only. Over- and underconfidence within a bin cancel, so the value "
    "is a lower bound. A network that always states the base rate is calibrated and useless: read "
    "it beside the error.",
    next_step="If the network is overconfident, divide its logits by a temperature fitted on held "
    "out data. If only shifts are off, refuse inputs far from train instead: recalibration on test "
    "does not carry over.",
    paper=Paper("Kumar, Liang & Ma 2019", "https://arxiv.org/abs/1909.10155"),
)
def calibration_error(
    predictions: ClassPredictions,
    *,
    bins: int = 15,
    draws: int = 400,
    generator: torch.Generator,
) -> Reading:
    r"""Root-mean-square calibration error of the top label, debiased, over bins of equal mass.

    .. math:: \sqrt{\max\Bigl(0, \sum_b \tfrac{n_b}{n} \bigl(\bar d_b^2 - s_b^2 / n_b\bigr)\Bigr)}

    with :math:`d` confidence minus correctness (0 or 1), of mean :math:`\bar d_b` and variance
    :math:`s_b^2` in bin b: each term is an unbiased estimate of the squared bias in its bin. The
    interval is a reflected bootstrap of the bins' means, which are taken to be normal; the null
    redraws correctness from the confidences.

    Args:
        predictions: Of the split.
        bins: At most so many bins; fewer where they would hold less than 20 examples.
        draws: Draws behind the interval and behind the null.
        generator: Source of the draws.

    Returns:
        `per_example` is confidence minus correctness: 0.9 for a mistake made with confidence 0.9.

    Raises:
        CannotMeasure: If there are fewer than 40 examples.
        ValueError: If bins < 1 or draws < 20.
    """
    if bins < 1 or draws < 20:
        raise ValueError(f"expected bins >= 1 and draws >= 20, got {bins} and {draws}")
    n = len(predictions)
    if n < 2 * SMALLEST:
        raise CannotMeasure(f"calibration needs at least {2 * SMALLEST} examples, got {n}")
    confidence, hit = predictions.probs.amax(dim=-1), predictions.correct.double()
    gap = confidence - hit
    member = one_hot(_equal_mass(confidence, min(bins, n // SMALLEST))).double()
    share, bias, noise = _by_bin(gap, member)
    squared = share @ (bias.square() - noise)
    normal = torch.randn(draws, len(bias), dtype=torch.double, generator=generator)
    spread = ((bias + noise.sqrt() * normal.to(bias)).square() - 2 * noise) @ share
    null, plain = _calibrated(confidence, member, draws, generator)
    signed = mean(gap)
    return Reading(
        _middle(_root(squared), _root(2 * squared - spread), n),
        null=_middle(_root(null.median()), _root(null), n),
        parts={
            "mean confidence minus accuracy": signed,
            "plain error (ECE), biased upward": exact(float(share @ bias.abs()), n),
            "plain error of a calibrated network": _middle(plain.median(), plain, n),
            "negative log-likelihood in nats": mean(predictions.loss),
        },
        per_example=gap,
        figures=(_reliability(confidence, hit, member),),
        notes=_said(signed),
    )


def _equal_mass(confidence: Float[Tensor, " n"], bins: int) -> Int[Tensor, " n"]:
    """The bin of each example, by rank. Ties share a bin; a small bin joins its neighbor."""
    _, value, size = torch.unique(confidence, return_inverse=True, return_counts=True)
    first = size.cumsum(0) - size  # examples below each value
    group = (first * bins // len(confidence))[value]
    large = torch.bincount(group) >= SMALLEST // 2
    return (large.cumsum(0) - 1).clamp_min(0)[group]


def _by_bin(
    gap: Float[Tensor, "... n"], member: Float[Tensor, "n bins"]
) -> tuple[Float[Tensor, " bins"], Float[Tensor, "... bins"], Float[Tensor, "... bins"]]:
    """For each bin its share of examples, the mean of the gap, and the variance of that mean."""
    size = member.sum(dim=0)
    average = gap @ member / size
    spread = (gap.square() @ member / size - average.square()).clamp_min(0)
    return size / len(member), average, spread / (size - 1)


def _root(squared: Tensor) -> Tensor:
    """Of a debiased square, which may come out negative."""
    return squared.clamp_min(0).sqrt()


def _middle(value: Tensor, draws: Float[Tensor, " draws"], n: int) -> Estimate:
    """A value with the middle 95 % of its draws."""
    tails = torch.tensor([TAIL, 1 - TAIL], dtype=torch.double, device=draws.device)
    low, high = draws.quantile(tails).tolist()
    return Estimate(value.item(), min(low, value.item()), max(high, value.item()), "bootstrap", n)


def _calibrated(
    confidence: Float[Tensor, " n"],
    member: Float[Tensor, "n bins"],
    draws: int,
    generator: torch.Generator,
) -> tuple[Float[Tensor, " draws"], Float[Tensor, " draws"]]:
    """Debiased squared and plain error of networks that are right as often as they say."""
    squared, plain = [], []
    n = len(confidence)
    for rows in torch.empty(draws).split(max(1, AT_ONCE // n)):
        chance = torch.rand(len(rows), n, dtype=torch.double, generator=generator)
        gap = confidence - (chance.to(confidence.device) < confidence).double()
        share, bias, noise = _by_bin(gap, member)
        squared.append((bias.square() - noise) @ share)
        plain.append(bias.abs() @ share)
    return torch.cat(squared), torch.cat(plain)


def _reliability(
    confidence: Float[Tensor, " n"], hit: Float[Tensor, " n"], member: Float[Tensor, "n bins"]
) -> Curve:
    size = member.sum(dim=0)
    stated, hits = confidence @ member / size, hit @ member
    right = [proportion(k, m) for k, m in zip(hits.tolist(), size.int().tolist(), strict=True)]
    low, value, high = torch.tensor([(e.low, e.value, e.high) for e in right]).double().unbind(1)
    return Curve(
        "Reliability", "confidence", "share right", stated,
        {"network": value, "calibrated": stated}, {"network": low}, {"network": high},
    )  # fmt: skip


def _said(signed: Estimate) -> tuple[str, ...]:
    """Over- or underconfidence in words, where the sign is beyond noise."""
    if signed.low <= 0 <= signed.high:
        return ()
    word = "overconfident" if signed.value > 0 else "underconfident"
    points = 100 * abs(signed.value)
    return (f"The network is {word}, by {points:.2g} percentage points on average.",)
