"""How wrong is the network where it is worst?"""

from itertools import islice

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
        predictions: Of the split.
        groups: The group of each example.
        smallest: Groups with fewer examples are left out, and named.
        draws: Shufflings behind the null.
        generator: Source of the shufflings.

    Returns:
        `per_example` is the error of the group of each example; NaN where that is left out.

    Raises:
        CannotMeasure: If fewer than two groups are large enough.
        ValueError: If smallest < 1 or draws < 20.
    """
    if smallest < 1 or draws < 20:
        raise ValueError(f"expected smallest >= 1 and draws >= 20, got {smallest} and {draws}")
    names, group, size = torch.unique(groups, return_inverse=True, return_counts=True)
    small = names[size < smallest].tolist()
    if len(names) - len(small) < 2:
        raise CannotMeasure(
            f"needs two groups of at least {smallest} examples, got {len(names) - len(small)}"
        )
    rows = (size >= smallest)[group]
    names, group, size = torch.unique(groups[rows], return_inverse=True, return_counts=True)
    error = predictions.error.to(groups.device)
    mistakes = torch.bincount(group, error[rows])
    counts = zip(names.tolist(), mistakes.tolist(), size.tolist(), strict=True)
    shares = {f"group {k}": proportion(m, n, family=len(names)) for k, m, n in counts}
    shares = dict(sorted(shares.items(), key=lambda item: -item[1].value))
    name, worst = next(iter(shares.items()))
    low, high = max(e.low for e in shares.values()), max(e.high for e in shares.values())
    null, chance = _shuffled(error[rows], group, worst.value, draws, generator)
    per_example = torch.full_like(error, torch.nan)
    per_example[rows] = (mistakes / size)[group]
    shown = dict(islice(shares.items(), SHOWN))
    return Reading(
        Estimate(worst.value, low, high, "proportion", worst.n),
        null=null,
        parts={"all groups together": proportion(float(mistakes.sum()), int(size.sum())), **shown},
        per_example=per_example,
        figures=(Bars("Error by group, worst first", "error", shown),),
        notes=_notes(small, smallest, name, chance),
    )


def _shuffled(
    error: Float[Tensor, " n"],
    group: Int[Tensor, " n"],
    worst: float,
    draws: int,
    generator: torch.Generator,
) -> tuple[Estimate, float]:
    """The worst group if labels meant nothing, and how often it is then at least as bad."""
    size = torch.bincount(group)
    values = torch.empty(draws, dtype=torch.double)
    for draw in range(draws):
        order = torch.randperm(len(error), generator=generator).to(error.device)
        values[draw] = (torch.bincount(group, error[order]) / size).max()
    tails = torch.tensor([TAIL, 1 - TAIL], dtype=torch.double)
    middle, (low, high) = values.median().item(), values.quantile(tails).tolist()
    chance = (1 + int((values >= worst - 1e-12).sum())) / (1 + draws)
    return Estimate(middle, low, high, "bootstrap", draws), chance


def _notes(small: list[int], smallest: int, worst: str, chance: float) -> tuple[str, ...]:
    said = [f"The worst is {worst}; with shuffled labels one is as bad with chance {chance:.2g}."]
    if small:
        listed = ", ".join(str(name) for name in small[:SHOWN])
        more = f" and {len(small) - SHOWN} more" if len(small) > SHOWN else ""
        said.append(f"Left out for having fewer than {smallest} examples: groups {listed}{more}.")
    return tuple(said)
