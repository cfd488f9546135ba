"""How much of the test error is the luck of the seed?"""

from dataclasses import replace
from math import ceil, sqrt

import torch
from jaxtyping import Float
from scipy import special
from torch import Tensor

from offmap.estimate import TAIL, Estimate, exact, mean
from offmap.estimate import replicates as over_seeds
from offmap.figures import Bars
from offmap.inputs import Predictions
from offmap.measure import Cost, Paper, measure
from offmap.passes import evaluating, outputs
from offmap.reading import Reading
from offmap.run import Recipe, Split
from offmap.train import trainer

POWER = 0.8  # chance that a difference which is there is also seen
WORTH = 0.1  # share of the mean error that counts as a difference worth seeing


def errors_after_retraining(
    recipe: Recipe, train: Split, test: Split, *, generator: torch.Generator
) -> Float[Tensor, " m"]:
    """Error of a freshly trained network on each test example, as in `Predictions.error`."""
    model = trainer(recipe)(train, generator)
    with evaluating(model):
        return torch.cat([_error(out, batch.targets) for batch, out in outputs(model, test)])


def _error(out: Tensor, targets: Tensor) -> Float[Tensor, " b"]:
    """Squared error where targets are numbers; share of wrong answers where they are labels."""
    targets = targets.to(out.device)
    if targets.is_floating_point():
        wrong = (out.double() - targets.double()).square()
    else:
        wrong = (out.argmax(dim=-1) != targets).double()
    return wrong.reshape(len(out), -1).mean(dim=1).cpu()


@measure(
    asks="How much does the test error change when nothing but the seed does?",
    unit="standard deviation of test error",
    span=(0.0, float("inf")),
    better="lower",
    cost=Cost.RETRAIN,
    read="0.005: the test errors of two single runs differ by more than 0.014 (2.8 times the "
    "value) in one of twenty cases, though nothing was improved. At the null: the seeds "
    "make other mistakes, but none is a better network than another. Far above it: some are.",
    caution="From five seeds the truth lies between 0.6 and 2.9 times the value. It holds "
    "for this recipe and this amount of training data. The interval takes the errors of the runs "
    "as normally distributed: runs that sometimes fail altogether break it.",
    next_step="Compare methods over as many seeds as `parts` asks for, not run against run. Far "
    "above the null: a warm-up, a smaller learning rate, gradient clipping, averaged "
    "weights, or an ensemble of seeds.",
    paper=Paper("Jordan 2023", "https://arxiv.org/abs/2304.01910"),
    replicate=errors_after_retraining,
)
def seed_spread(
    test_predictions: Predictions, replicates: Float[Tensor, "seeds m"], *, seeds: int = 5
) -> Reading:
    r"""Standard deviation over seeds of the error on one and the same test split.

    .. math:: s, \qquad \Bigl[ s \sqrt{(k-1)/\chi^2_{.975}},\; s \sqrt{(k-1)/\chi^2_{.025}} \Bigr]

    for :math:`k` seeds: exact if run errors are normal. That the test split is finite adds
    to the spread only through examples that seeds answer differently; the null is the spread
    that remains if each example flips by itself, independently of all others,

    .. math:: s_0 = \frac{1}{m} \sqrt{\sum_i \operatorname{Var}_{\text{seeds}} e_i}

    and :math:`s^2 - s_0^2` estimates the variance on unlimited test data (Jordan 2023). Why single
    runs mislead: Henderson et al. 2018 (https://arxiv.org/abs/1709.06560).

    Args:
        test_predictions: What the audited model says of the test split.
        replicates: Errors on the test split after each retraining.
        seeds: Retrainings.

    Raises:
        ValueError: If fewer than two seeds are asked for.
    """
    if seeds < 2:
        raise ValueError(f"expected seeds >= 2, got {seeds}")
    rows = replicates.double()
    errors = rows.mean(dim=1)  # [seeds]
    spread, null = deviation(errors), independent_spread(rows)
    runs = {f"seed {k + 1}": mean(row) for k, row in enumerate(rows)}
    audited = mean(test_predictions.error)
    parts = {
        "mean test error": over_seeds(errors),
        "audited model's test error": audited,
        "spread on unlimited test data": _beyond(spread, null),
        "difference that this many seeds can show": _scaled(spread, _detectable(len(errors))),
        **_seeds_needed(spread, WORTH * errors.mean().item()),
        **_churn(rows),
    }
    notes = []
    if spread.value > 0:
        distance = (audited.value - errors.mean().item()) / spread.value
        parts["audited model, spreads above the mean"] = exact(distance)
        usual = float(special.stdtrit(len(errors) - 1, 1 - TAIL)) * sqrt(1 + 1 / len(errors))
        if abs(distance) > usual:
            notes.append(
                f"The audited model's test error lies {abs(distance):.1f} spreads "
                f"{'above' if distance > 0 else 'below'} the mean of its recipe, more than the "
                f"{usual:.1f} that chance allows: was it trained or chosen in another way?"
            )
    return Reading(
        spread,
        null=null,
        parts=parts,
        figures=(Bars("Test error by seed", "test error", {**runs, "audited model": audited}),),
        notes=tuple(notes),
    )


def deviation(values: Float[Tensor, " k"]) -> Estimate:
    """Standard deviation of normal values, with its exact interval from the chi-square law."""
    freedom = len(values) - 1
    value = values.std().item()
    low, high = (
        value * sqrt(freedom / (2 * float(special.gammaincinv(freedom / 2, tail))))
        for tail in (1 - TAIL, TAIL)
    )
    return Estimate(value, low, high, "replicates", len(values))


def independent_spread(rows: Float[Tensor, "seeds m"]) -> Estimate:
    """Spread of the mean error if each example's error varied by itself."""
    m = rows.shape[1]
    variance = mean(rows.var(dim=0))
    value, low, high = (
        sqrt(max(v, 0.0) / m) for v in (variance.value, variance.low, variance.high)
    )
    return Estimate(value, low, high, "mean", m)


def _beyond(spread: Estimate, null: Estimate) -> Estimate:
    """Root of the difference of two variances; 0 where the second is larger."""
    ends = (spread.value, spread.low, spread.high)
    value, low, high = (sqrt(max(end**2 - null.value**2, 0.0)) for end in ends)
    return replace(spread, value=value, low=low, high=high)


def _scaled(estimate: Estimate, factor: float) -> Estimate:
    value, low, high = (factor * v for v in (estimate.value, estimate.low, estimate.high))
    return replace(estimate, value=value, low=low, high=high)


def _detectable(seeds: int) -> float:
    """Difference of two means over so many seeds each, in spreads, that a t-test sees."""
    freedom = 2 * seeds - 2
    return float(
        special.stdtrit(freedom, 1 - TAIL) + special.stdtrit(freedom, POWER)
    ) * sqrt(2 / seeds)  # fmt: skip


def _seeds_needed(spread: Estimate, difference: float) -> dict[str, Estimate]:
    """Seeds for each of two methods to see a difference: the normal count with Guenther's term."""
    if difference <= 0:
        return {}
    normal, power = float(special.ndtri(1 - TAIL)), float(special.ndtri(POWER))

    def count(deviation: float) -> int:
        return max(2, ceil(2 * ((normal + power) * deviation / difference) ** 2 + normal**2 / 4))

    value, low, high = (count(v) for v in (spread.value, spread.low, spread.high))
    needed = Estimate(value, low, high, "replicates", spread.n)
    return {"seeds needed to show a tenth of the error": needed}


def _churn(rows: Float[Tensor, "seeds m"]) -> dict[str, Estimate]:
    """Share of examples that one seed gets right and another wrong; only for whole answers."""
    if not bool(((rows == 0) | (rows == 1)).all()):
        return {}
    churn = mean(2 * rows.var(dim=0))
    low, high = max(churn.low, 0.0), min(churn.high, 1.0)
    return {"right for one seed, wrong for another": replace(churn, low=low, high=high)}
