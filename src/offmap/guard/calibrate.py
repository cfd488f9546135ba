"""Thresholds from calibration data, and what they promise."""

from dataclasses import replace
from math import isfinite

import torch
from jaxtyping import Int
from torch import Tensor, nn

from offmap.attempt import InputError
from offmap.estimate import Estimate, proportion
from offmap.guard.facts import shared
from offmap.guard.guard import Guard
from offmap.guard.ruler import Ruler
from offmap.guard.seeing import Sight, scores_of
from offmap.inputs import ClassPredictions
from offmap.numerics.conformal import grouped_knots, knots, needed, realized
from offmap.numerics.selective import risk_threshold
from offmap.passes import BATCH, device_of, evaluating, outputs
from offmap.run import Split

CERTAINTY = 0.95  # of the bound on the error of accepted answers


def calibrated(
    score: nn.Module,
    sight: Sight,
    calibration: Split,
    rate: float,
    *,
    confidence: float | None = None,
    classes: Int[Tensor, " n"] | None = None,
) -> Ruler:
    """The score with thresholds from calibration data, by predicted class if `classes` are given.

    Args:
        score: Fitted: (seen) -> [n].
        sight: The network.
        calibration: Fresh data; as much as `check_counts` asks for.
        rate: Of false alarms.
        confidence: As in `numerics.conformal.knots`.
        classes: What the network predicts for each example.

    Raises:
        InputError: If the scores tell nothing apart.
    """
    values = scores_of(score, sight, calibration)
    if not bool(values.isfinite().all()):
        row = int((~values.isfinite()).nonzero()[0])
        raise InputError(
            f"calibration: expected finite scores, got {values[row].item()} at example {row} of "
            "those it is calibrated on: are the network's outputs finite?"
        )
    if bool((values == values[0]).all()):
        raise InputError(
            f"calibration: expected scores that differ, got {values[0].item():g} for each of "
            f"{len(values):,} examples: choose another score"
        )
    if classes is None:
        one = knots(values, confidence=confidence)
        return Ruler(score, one.position[None], one.level[None], rate)
    groups = int(classes.max()) + 1
    many = grouped_knots(values, classes, groups, confidence=shared(confidence, groups))
    return Ruler(score, many.position, many.level, rate)


def check_counts(
    count: int,
    rate: float,
    *,
    confidence: float | None = None,
    classes: Int[Tensor, " n"] | None = None,
    class_count: int = 0,
) -> None:
    """Refuse too little calibration data, before anything is fitted.

    Args:
        count: Calibration examples.
        rate: Of false alarms.
        confidence: With which it is to hold.
        classes: What the network predicts for each, where the rate is kept for each class.
        class_count: How many classes there are then.

    Raises:
        InputError: If no input could ever be refused; with the number that it takes.
    """
    parts = {"examples": count}
    if classes is not None:
        counts = torch.bincount(classes, minlength=class_count).tolist()
        parts = {f"examples that the network calls class {c}": n for c, n in enumerate(counts)}
    least = needed(rate, confidence=shared(confidence, len(parts)))
    for what, had in parts.items():
        if had < least:
            sure = "" if confidence is None else f" with confidence {confidence:g}"
            raise InputError(
                f"calibration: expected at least {least:,} {what} for a false-alarm rate of "
                f"{rate:g}{sure}, got {had:,}: give more, or ask for a higher rate"
            )


def predicted(sight: Sight, split: Split) -> tuple[Int[Tensor, " n"], int]:
    """The class that the network answers to each example, and how many classes it has."""
    with evaluating(sight):
        found = [
            (out.argmax(dim=-1).cpu(), out.shape[-1]) for _, out in outputs(sight.model, split)
        ]
    return torch.cat([classes for classes, _ in found]), found[0][1]


def promise(
    count: int, alpha: float, confidence: float | None, classes: Int[Tensor, " n"] | None
) -> Estimate:
    """The realized rate of false alarms; with classes, from the least to the greatest of any."""
    counts = [count] if classes is None else classes.bincount().tolist()
    each = shared(confidence, len(counts))
    laws = [realized(n, alpha, confidence=each) for n in counts]
    mean = sum(law.mean * n for law, n in zip(laws, counts, strict=True)) / sum(counts)
    low, high = min(law.low for law in laws), max(law.high for law in laws)
    return Estimate(mean, low, high, "bound", count)


def selective(guard: Guard, selection: Split) -> Guard:
    """The guard with the threshold that bounds the error of what it accepts.

    Raises:
        InputError: If no threshold does.
    """
    device = device_of(guard.sight)
    rows = []
    with evaluating(guard):
        for batch in selection.batches(BATCH):
            inputs = batch.inputs.to(device)
            verdict = guard(inputs)
            said = ClassPredictions(guard.sight.model(inputs).cpu(), batch.targets)
            kept = verdict.accepted.cpu()
            rows.append(torch.stack([said.log_probs.amax(dim=-1)[kept], said.error[kept]]))
    sure, error = torch.cat(rows, dim=1)
    risk = guard.facts.risk
    assert risk is not None
    found = risk_threshold(sure, error, risk, certainty=CERTAINTY)
    if found is None:
        raise InputError(
            f"calibration: expected answers that err in at most {100 * risk:g} % of cases where "
            f"the network is surest, got no such share with {len(sure):,} accepted examples to "
            "show it: allow more risk, or give more calibration data"
        )
    kept = sure > found
    wrong = int(error[kept].sum())
    guard.sure = found if isfinite(found) else None
    guard.facts = replace(
        guard.facts,
        # the threshold was found on these rows: what the test has shown is the target, no more
        accepted_risk=Estimate(wrong / int(kept.sum()), 0.0, risk, "bound", int(kept.sum())),
        accepted_share=proportion(int(kept.sum()), len(selection)),
    )
    return guard
