"""Does the network predict outside the range of the targets that it was trained on?"""

import torch
from jaxtyping import Float64
from torch import Tensor

from offmap.attempt import CannotMeasure
from offmap.estimate import Estimate, difference, exact, mean, proportion
from offmap.figures import Scatter
from offmap.inputs import RealPredictions
from offmap.measure import Cost, Paper, measure
from offmap.measures.geometry.inside import hull_budget
from offmap.numerics.hull import membership
from offmap.reading import Reading
from offmap.run import Split

SHOWN = 2000  # points of the scatter
NEEDED = 10  # predictions inside, and outside, without which their errors are not compared


@measure(
    asks="How often does the network answer beyond anything that it was shown as an answer?",
    unit="share of examples",
    span=(0.0, 1.0),
    better="neither",
    cost=Cost.FORWARD,
    read="0: every prediction lies in the range of the training targets, as that of any nearest "
    "neighbor, kernel average or forest must. 0.1: one in ten does not. Compare with the share of "
    "true targets outside among the parts: as many, if the network extrapolates as it should.",
    caution="Leaving the range is right where the target does. One outlier among the training "
    "targets widens the range. Of several outputs in a curved arrangement, the hull also holds "
    "what no target could be.",
    next_step="Where predictions leave the range and targets do not, clamp them, or refuse those "
    "inputs. Where targets leave it and predictions do not, the network cannot follow: collect "
    "such examples, or give it the known trend as an input.",
    paper=Paper("Balestriero et al. 2021", "https://arxiv.org/abs/2110.09485"),
)
def output_hull(predictions: RealPredictions, train: Split, *, tolerance: float = 1e-6) -> Reading:
    r"""Share of predictions outside the convex hull of the training targets.

    Of a single output the hull is the range from the smallest to the largest training target. The
    null is 0: whatever predicts a weighted mean of training targets cannot leave their hull.

    Args:
        predictions: Of the split.
        train: Whose targets span the hull.
        tolerance: Distance from the hull, in root-mean-square radii of the training targets, up to
            which a prediction counts as inside: what rounding does to a mean.

    Returns:
        `per_example` is the distance of each prediction to the hull in those radii, 0 inside.

    Raises:
        ValueError: If the tolerance is negative.
        CannotMeasure: If the training targets are all equal, or their hull takes more than the
            memory budget.
    """
    if tolerance < 0:
        raise ValueError(f"expected tolerance >= 0, got {tolerance}")
    targets = train.targets.flatten(1) if train.targets.ndim > 1 else train.targets[:, None]
    targets = targets.cpu().double()
    radius = (targets - targets.mean(dim=0)).square().sum(dim=1).mean().sqrt().item()
    if radius == 0:
        raise CannotMeasure("the training targets are all equal: their range is a point")
    here, true = (
        _distance(values.reshape(len(values), -1).cpu().double(), targets, train.memory) / radius
        for values in (predictions.outputs, predictions.targets)
    )
    outside, beyond = here > tolerance, true > tolerance
    n = len(outside)
    parts = {"true targets outside": proportion(int(beyond.sum()), n)}
    if bool(outside.any()):
        parts["farthest outside, in radii"] = exact(here.max().item(), n)
    if bool(beyond.any()):
        found = proportion(int((outside & beyond).sum()), int(beyond.sum()))
        parts["of the true targets outside, predicted outside"] = found
    return Reading(
        proportion(int(outside.sum()), n),
        null=exact(0.0),
        parts=parts | _errors(predictions, outside),
        per_example=here,
        figures=(_scatter(here, true),),
        notes=_notes(here, outside),
    )


def _distance(
    values: Float64[Tensor, "n c"], targets: Float64[Tensor, "m c"], memory: int
) -> Float64[Tensor, " n"]:
    """Proved lower bounds on the distance to the hull of the targets, 0 inside; exact for c = 1."""
    if values.shape[1] == 1:
        low, high = targets.min(), targets.max()
        return torch.maximum(low - values, values - high).clamp_min(0).flatten()
    budget = hull_budget(len(targets), targets.shape[1], memory)
    return membership(targets, values, memory=budget, gap=0.02).distance_low.cpu()


def _errors(predictions: RealPredictions, outside: Tensor) -> dict[str, Estimate]:
    """Squared error of predictions outside and inside, where there are enough of both."""
    error = predictions.error.cpu()
    if min(int(outside.sum()), int((~outside).sum())) < NEEDED:
        return {}
    out, within = mean(error[outside]), mean(error[~outside])
    return {
        "error of predictions outside": out,
        "error of predictions inside": within,
        "error outside minus inside": difference(out, within),
    }


def _scatter(here: Float64[Tensor, " n"], true: Float64[Tensor, " n"]) -> Scatter:
    """Distance of predictions by distance of targets, evenly thinned."""
    shown = torch.linspace(0, len(here) - 1, min(SHOWN, len(here))).long()
    return Scatter(
        "How far outside the hull of the training targets",
        "true target: distance, in radii",
        "prediction: distance, in radii",
        true[shown],
        here[shown],
    )


def _notes(here: Float64[Tensor, " n"], outside: Tensor) -> tuple[str, ...]:
    """Which predictions are farthest outside."""
    if not bool(outside.any()):
        return ()
    far = here.argsort(descending=True, stable=True)[: min(5, int(outside.sum()))].tolist()
    return (f"The predictions farthest outside are those of rows {', '.join(map(str, far))}.",)
