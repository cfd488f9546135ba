"""Is distance to the training data a risk score: do mistakes lie farther away than hits?"""

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from offmap.attempt import CannotMeasure
from offmap.estimate import Estimate, area, exact, mean, proportion
from offmap.figures import Curve
from offmap.inputs import ClassPredictions, TrainNeighbors
from offmap.measure import Cost, Paper, measure
from offmap.numerics.ranking import auroc_influence
from offmap.reading import Reading

NEEDED = 10  # hits, and mistakes, without which an area means nothing
INPUT, FEATURE, DOUBT = "input distance", "feature distance", "low confidence"


@measure(
    asks="Of a mistake and a hit, does the mistake lie farther from the training data?",
    unit="AUROC",
    span=(0.0, 1.0),
    better="higher",
    cost=Cost.FORWARD,
    read="0.5: distance in feature space says nothing about error. 0.8: of a random mistake and a "
    "random hit, the mistake is the farther one four times in five. Below 0.5: far inputs are the "
    "easier ones. Compare with low confidence among the parts, the score that costs nothing.",
    caution="Pooled over test and shifts it also credits distance with telling an easy split from "
    "a hard one: the parts within each split do not. Harmless shifts may be far (brightness), "
    "harmful ones near. Detecting a shift is not detecting mistakes.",
    next_step="If distance is blind to error, guard by the score among the parts that is not; if "
    "it sees error within a split, refuse inputs beyond the distance where error becomes too high.",
    paper=Paper("Jiang et al. 2018", "https://arxiv.org/abs/1805.11783"),
)
def distance_error(
    all_predictions: Mapping[str, ClassPredictions],
    all_neighbors: Mapping[str, TrainNeighbors],
    all_feature_neighbors: Mapping[str, TrainNeighbors],
) -> Reading:
    r"""Area under the ROC curve of distance to the nearest training example, for mistakes.

    .. math:: P(d^- > d^+) + \tfrac12 P(d^- = d^+)

    with :math:`d^-` the distance of a random mistake and :math:`d^+` that of a random hit, among
    all examples of test and every shift, by the features (the headline), by the inputs, and by
    one minus confidence. The intervals are those of DeLong et al. 1988; splits that have the same
    targets row by row are copies of one another, and their rows count as one (Obuchowski 1997).

    Raises:
        CannotMeasure: If all splits together have fewer than ten mistakes, or ten hits.
    """
    names = [n for n in all_predictions if n in all_neighbors and n in all_feature_neighbors]
    if not names:
        raise CannotMeasure("no split has targets and distances to the training data")
    wrong = {name: ~all_predictions[name].correct.cpu() for name in names}
    scores = {
        FEATURE: {name: all_feature_neighbors[name].distance[:, 0].cpu() for name in names},
        INPUT: {name: all_neighbors[name].distance[:, 0].cpu() for name in names},
        DOUBT: {name: -all_predictions[name].log_probs.amax(dim=-1).cpu() for name in names},
    }
    everyone = torch.cat([wrong[name] for name in names])
    if min(int(everyone.sum()), int((~everyone).sum())) < NEEDED:
        raise CannotMeasure(
            f"needs at least {NEEDED} mistakes and {NEEDED} hits, "
            f"got {int(everyone.sum())} mistakes among {len(everyone)} examples"
        )
    original = _originals([all_predictions[name].targets.cpu() for name in names])
    rows = {
        score: _rows(torch.cat([by_split[name] for name in names]), everyone, original)
        for score, by_split in scores.items()
    }
    parts = {f"{score}, pooled": area(values, everyone) for score, values in rows.items()}
    parts["feature distance minus low confidence, pooled"] = mean(rows[FEATURE] - rows[DOUBT])
    within, notes = _within(scores, wrong)
    return Reading(
        parts[f"{FEATURE}, pooled"],
        null=exact(0.5),
        parts=parts | within,
        figures=tuple(_deciles(score, scores[score], wrong) for score in (FEATURE, INPUT)),
        notes=notes,
    )


def _originals(targets: list[Int[Tensor, " _"]]) -> Int[Tensor, " n"]:
    """For each row of each split the number of its original.

    Splits with equal targets are copies of one another: their rows share originals.
    """
    firsts: list[tuple[Tensor, Tensor]] = []
    numbers, start = [], 0
    for own in targets:
        same = next((n for t, n in firsts if torch.equal(t, own)), None)
        if same is None:
            same = torch.arange(start, start + len(own))
            firsts.append((own, same))
            start += len(own)
        numbers.append(same)
    return torch.cat(numbers)


def _rows(
    score: Float[Tensor, " n"], wrong: Bool[Tensor, " n"], original: Int[Tensor, " n"]
) -> Float[Tensor, " m"]:
    """One number for each original: their mean is the area, their spread its uncertainty."""
    area, influence = auroc_influence(score, wrong)
    pulled = torch.bincount(original, influence)
    return area + pulled * (len(pulled) / len(score))


def _within(
    scores: Mapping[str, Mapping[str, Tensor]], wrong: Mapping[str, Tensor]
) -> tuple[dict[str, Estimate], tuple[str, ...]]:
    """The areas in each split alone, and the splits that have none."""
    parts, notes = {}, []
    for name, mistakes in wrong.items():
        count = int(mistakes.sum())
        if min(count, len(mistakes) - count) < NEEDED:
            notes.append(f"No area within {name}: {count} mistakes among {len(mistakes)} examples.")
            continue
        alone = torch.arange(len(mistakes))
        for score, by_split in scores.items():
            parts[f"{score}, {name}"] = area(_rows(by_split[name], mistakes, alone), mistakes)
    return parts, tuple(notes)


def _deciles(score: str, by_split: Mapping[str, Tensor], wrong: Mapping[str, Tensor]) -> Curve:
    """Share of mistakes in each tenth of a split, nearest first."""
    series, lows, highs = {}, {}, {}
    for name, distance in by_split.items():
        tenths = wrong[name][distance.argsort(stable=True)].tensor_split(10)
        found = [proportion(int(t.sum()), len(t)) for t in tenths if len(t)]
        if len(found) == 10:
            low, value, high = torch.tensor([(e.low, e.value, e.high) for e in found]).unbind(1)
            series[name], lows[name], highs[name] = value, low, high
    return Curve(
        f"Error by {score}", "tenth of the split, nearest first", "error",
        torch.arange(1.0, 11.0), series, lows, highs,
    )  # fmt: skip
