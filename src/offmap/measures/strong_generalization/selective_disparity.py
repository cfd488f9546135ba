"""Whom does it serve to answer only where the network is sure?"""

import math
from functools import partial

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from offmap.attempt import CannotMeasure
from offmap.estimate import Estimate, bootstrap, proportion
from offmap.figures import Curve
from offmap.inputs import ClassPredictions
from offmap.measure import Cost, Paper, measure
from offmap.numerics.certainty import log_doubt
from offmap.numerics.selective import GroupCounts, coverage_by_group
from offmap.reading import Reading

SHOWN = 6  # groups in the figures and among the parts, the worst ones
POINTS = 20  # on a curve


@measure(
    asks="Does answering only the surest inputs help the group that is worst off?",
    unit="error",
    span=(-1.0, 1.0),
    better="lower",
    cost=Cost.FORWARD,
    read="-0.1: of the answers that the worst group still gets, ten in a hundred fewer are wrong "
    "than when all are answered. Above 0: abstaining makes that group worse off, and the network "
    "is surer of its mistakes there than of its hits. Between the null and 0: the group gains less "
    "than it would if refusals were blind to groups.",
    caution="A refusal is a harm of its own: see what share of the group is answered. Groups that "
    "nobody labeled can fare worse. The worst group is chosen on the same data: where groups "
    "hardly differ, part of its error is chance.",
    next_step="Where abstaining hurts a group, do not deploy it before the group's error at full "
    "coverage is repaired: collect its examples, or train with group-balanced batches or group "
    "distributionally robust optimization.",
    paper=Paper("Jones et al. 2020", "https://arxiv.org/abs/2010.14134"),
)
def selective_disparity(
    predictions: ClassPredictions,
    groups: Int[Tensor, " n"],
    *,
    coverage: float = 0.8,
    smallest: int = 10,
    draws: int = 200,
    generator: torch.Generator,
) -> Reading:
    r"""Change of the error of the worst group when only the surest examples are answered.

    .. math:: P(\hat y \ne y \mid g^*, c \ge t) - P(\hat y \ne y \mid g^*), \qquad P(c \ge t) =
        \text{coverage}

    with c the log-odds of the answer and g* the group with the largest error when all are answered.
    The null is the change if refusals were blind to groups (the paper's reference): they take the
    same share of the hits of every group, and the same share of the mistakes.

    Args:
        predictions: Of the split.
        groups: The group of each example.
        coverage: Share of all examples that is answered.
        smallest: Groups with fewer examples are left out.
        draws: Bootstrap resamples behind the interval.
        generator: Source of the resamples.

    Returns:
        `per_example` is the change of the error of each example's group; NaN where it is left out
        or gets no answer.

    Raises:
        CannotMeasure: If fewer than two groups are large enough, if there are no mistakes or
            nothing else, or if the worst group gets no answer.
        ValueError: If coverage is not between 0 and 1, or smallest < 1.
    """
    if not 0 < coverage < 1 or smallest < 1:
        raise ValueError(f"expected 0 < coverage < 1 <= smallest, got {coverage} and {smallest}")
    _, place, size = torch.unique(groups, return_inverse=True, return_counts=True)
    large = (size >= smallest)[place]
    sure = -log_doubt(predictions.logits).to(groups.device)[large]
    wrong, group = predictions.error.to(groups.device)[large].bool(), groups[large]
    found = _worst_first(coverage_by_group(_answered(sure, coverage), wrong, group))
    _check(found, coverage, smallest)
    columns = (sure, wrong, group == found.group[0])
    estimate, null = (
        bootstrap(partial(change, coverage=coverage), *columns, generator=generator, draws=draws)
        for change in (_change, _blind_change)
    )
    changes = (found.mistakes_accepted / found.accepted - found.mistakes / found.rows).double()
    per_example = torch.full((len(groups),), torch.nan, dtype=torch.double, device=groups.device)
    per_example[large] = changes[(group[:, None] == found.group).int().argmax(dim=1)]
    return Reading(
        estimate,
        null=null,
        parts=_parts(found),
        per_example=per_example,
        figures=_figures(*columns, group, found.group[:SHOWN].tolist()),
        notes=_notes(found, changes, coverage),
    )


def _worst_first(found: GroupCounts) -> GroupCounts:
    order = (found.mistakes / found.rows).argsort(descending=True, stable=True)
    return GroupCounts(*(column[order] for column in found))


def _check(found: GroupCounts, coverage: float, smallest: int) -> None:
    """Whether the question has an answer.

    Raises:
        CannotMeasure: If it has none.
    """
    if len(found.group) < 2:
        raise CannotMeasure(
            f"needs two groups of at least {smallest} examples, got {len(found.group)}"
        )
    mistakes, rows = int(found.mistakes.sum()), int(found.rows.sum())
    if mistakes in (0, rows):
        raise CannotMeasure(f"needs both hits and mistakes, got {mistakes} mistakes of {rows}")
    if found.accepted[0] == 0:
        raise CannotMeasure(
            f"group {found.group[0]}, the worst, gets no answer at coverage {coverage:g}"
        )


def _answered(sure: Float[Tensor, " n"], coverage: float) -> Bool[Tensor, " n"]:
    """The surest examples: this share of all, and those that tie with the last."""
    count = max(1, math.ceil(coverage * len(sure) - 1e-9))
    return sure >= sure.sort(descending=True).values[count - 1]


def _change(sure: Tensor, wrong: Tensor, mine: Tensor, *, coverage: float) -> Float[Tensor, ""]:
    """Error of my group among the answered, minus its error among all."""
    answered = _answered(sure, coverage)
    return wrong[mine & answered].double().mean() - wrong[mine].double().mean()


def _blind_change(
    sure: Tensor, wrong: Tensor, mine: Tensor, *, coverage: float
) -> Float[Tensor, ""]:
    """The same, if of its hits and of its mistakes the shares answered were those of all groups."""
    answered, error = _answered(sure, coverage), wrong[mine].double().mean()
    hits, mistakes = (answered[rows].double().mean() for rows in (~wrong, wrong))
    return error * mistakes / (error * mistakes + (1 - error) * hits) - error


def _parts(found: GroupCounts) -> dict[str, Estimate]:
    """Errors and shares answered: of all examples, then of the worst groups."""
    parts: dict[str, Estimate] = {}
    together = [int(column.sum()) for column in found[1:]]
    rows = zip(*(column[:SHOWN].tolist() for column in found), strict=True)
    named = [("all groups", *together), *((f"group {name}", *counts) for name, *counts in rows)]
    for name, size, mistakes, accepted, mistakes_accepted in named:
        parts[f"{name}: error, all answered"] = proportion(mistakes, size)
        if accepted:
            parts[f"{name}: error of answers given"] = proportion(mistakes_accepted, accepted)
        parts[f"{name}: share answered"] = proportion(accepted, size)
    return parts


def _figures(
    sure: Tensor, wrong: Tensor, worst: Tensor, group: Tensor, shown: list[int]
) -> tuple[Curve, Curve]:
    """Against the share of all that is answered: accuracy of each group, and its own share."""
    shares = torch.arange(1, POINTS + 1).double() / POINTS
    counts = [coverage_by_group(_answered(sure, share), wrong, group) for share in shares.tolist()]
    accuracy, low, high, served = {}, {}, {}, {}
    for number in shown:
        name, at = f"group {number}", int((counts[0].group == number).nonzero()[0])
        given = [(int(count.accepted[at]), int(count.mistakes_accepted[at])) for count in counts]
        ends = torch.tensor([
            (e.value, e.low, e.high) if k and (e := proportion(k - m, k)) else (math.nan,) * 3
            for k, m in given
        ]).double()  # fmt: skip
        accuracy[name], low[name], high[name] = ends.T
        served[name] = torch.tensor([k for k, _ in given]).double() / given[-1][0]
    error = wrong[worst].double().mean()
    accuracy[f"group {shown[0]}, refusals blind to groups"] = torch.stack([
        1 - error - _blind_change(sure, wrong, worst, coverage=share) for share in shares.tolist()
    ])  # fmt: skip
    label = "share of all examples answered"
    return (
        Curve("Accuracy of the answers given", label, "accuracy", shares, accuracy, low, high),
        Curve("Who is answered", label, "share of the group answered", shares, served),
    )


def _notes(found: GroupCounts, changes: Float[Tensor, " g"], coverage: float) -> tuple[str, ...]:
    before, after = ((m.sum() / k.sum()).item() for m, k in (
        (found.mistakes, found.rows), (found.mistakes_accepted, found.accepted)
    ))  # fmt: skip
    first = (found.mistakes[0] / found.rows[0]).item()
    share = found.accepted / found.rows
    least = int(share.argmin())
    said = [
        f"Answering the surest {100 * coverage:g} % takes the error of group {found.group[0]}, the "
        f"worst, from {first:.3g} to {first + changes[0].item():.3g}, and that of all groups "
        f"together from {before:.3g} to {after:.3g}.",
        f"Group {found.group[least]} is answered least: {100 * share[least].item():.3g} % of it.",
    ]
    worse = found.group[changes > 0].tolist()
    if worse:
        listed = ", ".join(str(name) for name in worse[:SHOWN])
        more = f" and {len(worse) - SHOWN} more" if len(worse) > SHOWN else ""
        said.append(f"Abstaining raises the error of answers given in groups {listed}{more}.")
    return tuple(said)
