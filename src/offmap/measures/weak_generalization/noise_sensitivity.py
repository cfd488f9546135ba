"""How fast does accuracy fall when plain random noise is added to the inputs?"""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from offmap.attempt import CannotMeasure
from offmap.estimate import Estimate, exact, mean, proportion
from offmap.figures import Curve
from offmap.inputs import ClassPredictions
from offmap.measure import Cost, Paper, measure
from offmap.passes import BATCH, evaluating, outputs
from offmap.reading import Reading
from offmap.run import Domain, Split

LEVELS = (0.02, 0.05, 0.1, 0.2, 0.4)


def _hits(
    model: nn.Module,
    split: Split,
    domain: Domain,
    *,
    levels: tuple[float, ...] = LEVELS,
    generator: torch.Generator,
) -> Float[Tensor, "n levels"]:
    """1 where the network is right under noise, else 0. All levels scale the same noise.

    Raises:
        CannotMeasure: If the inputs are tokens.
        ValueError: If the levels are not positive and increasing.
    """
    if not levels or any(a >= b for a, b in pairwise((0.0, *levels))):
        raise ValueError(f"expected positive, increasing levels, got {levels}")
    if domain.kind == "tokens":
        raise CannotMeasure("Gaussian noise cannot be added to token numbers")
    rows = []
    with evaluating(model):
        for batch in split.batches(BATCH):
            inputs, targets = batch.inputs, batch.targets
            noise = torch.randn(inputs.shape, generator=generator).to(inputs.device)
            noise = noise * _unit(inputs, domain)
            hits = []
            for level in levels:
                noisy = Split(_clipped(inputs + level * noise, inputs, domain), name=split.name)
                _, logits = next(outputs(model, noisy))
                hits.append(logits.argmax(dim=-1) == targets.to(logits.device))
            rows.append(torch.stack(hits, dim=1).double().cpu())
    return torch.cat(rows)


def _unit(inputs: Tensor, domain: Domain) -> Tensor | float:
    """What a level is a fraction of: the input range, or each example's root mean square."""
    if domain.low is not None and domain.high is not None:
        return domain.high - domain.low
    size = inputs.double().flatten(1).square().mean(dim=1).sqrt().float()
    return size.view(-1, *[1] * (inputs.ndim - 1))


def _clipped(noisy: Tensor, inputs: Tensor, domain: Domain) -> Tensor:
    """The noisy inputs [b, ...] within the domain's bounds and in the inputs' own type."""
    if domain.low is not None or domain.high is not None:
        noisy = noisy.clamp(domain.low, domain.high)
    return noisy.to(inputs.dtype) if inputs.is_floating_point() else noisy.round().to(inputs.dtype)


@measure(
    asks="How much accuracy does Gaussian noise on the inputs cost?",
    unit="share",
    span=(-1.0, 1.0),
    better="lower",
    cost=Cost.MANY_PASSES,
    read="Mean over the noise levels of the accuracy lost. 0: noise changes nothing. 0.1: ten in a "
    "hundred answers that were right are wrong under noise, on average. A noise level is the "
    "standard deviation as a fraction of the input range (0.1 on [0, 1]: 0.1), or, where the "
    "domain is unbounded, of the root mean square of the input itself.",
    caution="The level at which people start to fail is not known here: at 0.4 of the range "
    "even they may. Noise in the data's own directions of low variance is far off the data, "
    "while photographs hardly change. Says nothing of adversarial directions.",
    next_step="Train with noise of the sizes that occur in use, or with Gaussian augmentation up "
    "to the level at which half the lead over guessing is lost.",
    paper=Paper("Ford et al. 2019", "https://arxiv.org/abs/1901.10513"),
    per_example=_hits,
)
def noise_sensitivity(
    predictions: ClassPredictions,
    per_example: Float[Tensor, "n levels"],
    *,
    levels: tuple[float, ...] = LEVELS,
) -> Reading:
    r"""Accuracy on clean inputs minus accuracy under noise, averaged over the levels.

    An example counts :math:`h_i - \frac1L \sum_l h_{il}`, with h 1 where the answer is right.
    Each input gets one draw of noise, clipped to the domain with the input.

    Args:
        predictions: Of the split, without noise.
        per_example: 1 where the network is right under noise, by level.
        levels: Standard deviations of the noise, increasing, as fractions of the domain's range
            (of each example's root mean square where the domain is unbounded).

    Returns:
        `per_example` is what each example contributes: 1 for a hit that every level turns into a
        mistake, negative where noise helps.
    """
    clean = predictions.correct.double()
    noisy = per_example.to(clean)
    n, lost = len(clean), clean - noisy.mean(dim=1)
    guess = torch.bincount(predictions.targets).max().item() / n
    points = [proportion(hits, n) for hits in torch.cat((clean[:, None], noisy), 1).sum(0).tolist()]
    names = ["accuracy without noise", *(f"accuracy at noise {level:g}" for level in levels)]
    parts = dict(zip(names, points, strict=True))
    half = _half(clean, noisy, (0.0, *levels), guess)
    if half is not None:
        parts["noise at which half the lead over guessing is lost"] = half
    low, value, high = torch.tensor([(e.low, e.value, e.high) for e in points]).double().unbind(1)
    series = {"accuracy": value, "commonest class": torch.full_like(value, guess)}
    x = torch.tensor((0.0, *levels), dtype=torch.double)
    return Reading(
        mean(lost),
        null=exact(0.0),
        parts=parts,
        per_example=lost,
        figures=(
            Curve("Accuracy under noise", "noise level", "accuracy", x, series,
                  {"accuracy": low}, {"accuracy": high}),
        ),
        notes=("At no level tried is it certain that half the lead over guessing is lost.",)
        * (half is None),
    )  # fmt: skip


def _half(
    clean: Float[Tensor, " n"],
    noisy: Float[Tensor, "n levels"],
    levels: tuple[float, ...],
    guess: float,
) -> Estimate | None:
    """Where accuracy first falls half-way to guessing, linear between levels; None if uncertain.

    The ends are where the two ends of the interval at each level cross (Fieller's way).
    """
    middle = (clean + guess) / 2
    above = [mean(hits - middle) for hits in (clean, *noisy.unbind(dim=1))]
    value, low, high = (
        _first_zero(levels, heights)
        for heights in zip(*((e.value, e.low, e.high) for e in above), strict=True)
    )
    if value is None or low is None or high is None:
        return None
    return Estimate(value, low, high, "mean", len(clean))


def _first_zero(levels: tuple[float, ...], heights: tuple[float, ...]) -> float | None:
    """Where the line through the points first comes down to zero; None if it starts there."""
    if heights[0] <= 0:
        return None
    for (x0, y0), (x1, y1) in pairwise(zip(levels, heights, strict=True)):
        if y1 <= 0:
            return x0 + (x1 - x0) * y0 / (y0 - y1)
    return None
