"""How wrong is the network where it is worst?"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from offmap.attempt import CannotMeasure
from offmap.estimate import TAIL, Estimate, proportion
from offmap.figures import Bars
from offmap.inputs import ClassPredictions
from offmap.measure import Cost, Paper, measure
from offmap.reading import Reading

SHOWN = 20  # groups among the parts, the worst ones


@measure(
    asks="How often is the network wrong in the group where it is worst?",
    unit="share",
    span=(0.0, 1.0),
    better="lower",
    cost=Cost.FORWARD,
    read="0.4 with a null around 0.2: in some group four answers in ten are wrong, twice what the "
    "worst of as many groups would show by chance. A value within the null's interval: groups make "
    "no difference that this data could show.",
    caution="The worst of many noisy shares is too high on average: compare with the null, not "
    "with the overall error. Groups that nobody labeled can be worse.",
    next_step="Collect examples of the worst group, or train with group-balanced batches or group "
    "distributionally robust optimization.",
    paper=Paper("Sagawa et al. 2020", "https://arxiv.org/abs/1911.08731"),
)
def worst_group_error(
    predictions: ClassPredictions,
    groups: Int[Tensor, " n"],
    *,
    smallest: int = 10,
    draws: int = 200,
    generator: torch.Generator,
) -> Reading:
    r"""The largest share of mistakes among the groups.

    .. math:: \max_g \frac{1}{n_g} \sum_{i \in g} e_i

    The interval runs from the largest lower to the largest upper end of Clopper-Pearson intervals
    that hold for all groups at once (Bonferroni), so it holds for whichever group is truly worst.
    The null is the same maximum when the group labels are shuffled.

    Args:
        smallest: Groups with fewer examples are left out, and named.
        draws: Shufflings behind the null.

    Returns:
        `per_example` is the error of the group of each example; NaN where that is left out.

    Raises:
        CannotMeasure: If fewer than two groups are large enough.
        ValueError: If smallest < 1 or draws < 20.
    """
    if smallest < 1 or draws < 20:
        raise ValueError(f"expected smallest >= 1 and draws >= 20, got {smallest} and {draws}")
    names, group, size = torch.unique(groups, return_inverse=True, return_counts=True)
    kept = size >= smallest
    if int(kept.sum()) < 2:
        raise CannotMeasure(
            f"needs two groups of at least {smallest} examples, got {int(kept.sum())}"
        )
    error = predictions.error.to(group.device)
    rows = kept[group]
    errors = _by_group(error, group, size)
    shares = {
        f"group {name}": proportion(round(share * m), m, family=int(kept.sum()))
        for name, share, m, use in zip(
            names.tolist(), errors.tolist(), size.tolist(), kept.tolist(), strict=True
        )
        if use
    }
    shares = dict(sorted(shares.items(), key=lambda item: -item[1].value))
    worst = next(iter(shares.values()))
    null, chance = _shuffled(error[rows], group[rows], worst.value, draws, generator)
    overall = proportion(int(error[rows].sum()), int(rows.sum()))
    shown = dict(list(shares.items())[:SHOWN])
    return Reading(
        Estimate(
            worst.value,
            max(e.low for e in shares.values()),
            max(e.high for e in shares.values()),
            "proportion",
            worst.n,
        ),
        null=null,
        parts={"all groups together": overall, **shown},
        per_example=torch.where(rows, errors[group], torch.nan),
        figures=(Bars("Error by group, worst first", "error", shown),),
        notes=_notes(names[~kept], smallest, next(iter(shares)), chance),
    )


def _by_group(
    error: Float[Tensor, " n"], group: Int[Tensor, " n"], size: Int[Tensor, " g"]
) -> Float[Tensor, " g"]:
    return torch.bincount(group, error, minlength=len(size)) / size


def _shuffled(
    error: Float[Tensor, " n"],
    group: Int[Tensor, " n"],
    worst: float,
    draws: int,
    generator: torch.Generator,
) -> tuple[Estimate, float]:
    """The worst group if labels meant nothing, and how often it is then at least as bad."""
    _, group, size = torch.unique(group, return_inverse=True, return_counts=True)
    values = torch.empty(draws, dtype=torch.double)
    for draw in range(draws):
        order = torch.randperm(len(error), generator=generator).to(error.device)
        values[draw] = _by_group(error[order], group, size).max()
    tails = torch.tensor([TAIL, 1 - TAIL], dtype=torch.double)
    middle, (low, high) = values.median().item(), values.quantile(tails).tolist()
    chance = (1 + int((values >= worst - 1e-12).sum())) / (1 + draws)
    return Estimate(middle, low, high, "bootstrap", draws), chance


def _notes(small: Int[Tensor, " k"], smallest: int, worst: str, chance: float) -> tuple[str, ...]:
    said = [
        f"{worst.capitalize()} is the worst; shuffled labels give one as bad in {chance:.2g} of draws."
    ]
    if len(small):
        listed = ", ".join(str(name) for name in small.tolist()[:SHOWN])
        more = f" and {len(small) - SHOWN} more" if len(small) > SHOWN else ""
        said.append(f"Left out for having fewer than {smallest} examples: groups {listed}{more}.")
    return tuple(said)
