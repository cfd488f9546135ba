"""What does leaving the home distribution cost in accuracy?"""

import torch
from jaxtyping import Float
from torch import Tensor

from offmap.estimate import Estimate, difference, exact, mean, proportion, ratio
from offmap.figures import Bars
from offmap.inputs import ClassPredictions, Predictions, RealPredictions
from offmap.measure import Cost, Paper, measure
from offmap.reading import Reading


@measure(
    asks="How much accuracy is lost on this shift, against test?",
    unit="error",
    span=(-float("inf"), float("inf")),
    better="lower",
    cost=Cost.FORWARD,
    read="Error here minus error on test. For classes and tokens: 0 means nothing is lost, 0.1 ten "
    "more mistakes in a hundred examples. For regression and reconstruction it is mean squared "
    "error in the target's unit squared: look at the ratio among the parts.",
    caution="One shift says little of the next. Where the shift has other examples than test, part "
    "of the loss may come from another mix of classes: see the parts.",
    next_step="If much is lost: collect or simulate training data like this shift, and put a guard "
    "in front of the network until it has been retrained.",
    paper=Paper("Taori et al. 2020", "https://arxiv.org/abs/2007.00644"),
)
def accuracy_under_shift(predictions: Predictions, test_predictions: Predictions) -> Reading:
    """Mean error on the shift minus mean error on test: positive is lost accuracy.

    Where shift and test have the same targets row by row, the shift is taken to be a changed copy
    of test, and the interval is that of the mean of paired differences; otherwise it combines
    those of two independent means.

    Returns:
        `per_example` is what is lost on each example: error here minus error of the same example
        of test where they are paired, error here otherwise.
    """
    here, test = mean(predictions.error), mean(test_predictions.error)
    paired = _paired(predictions, test_predictions)
    rows = predictions.error - test_predictions.error if paired else predictions.error
    parts = {"error here": here, "error on test": test}
    notes: tuple[str, ...] = ()
    if isinstance(predictions, ClassPredictions) and isinstance(test_predictions, ClassPredictions):
        if paired:
            parts |= _turned(predictions.correct, test_predictions.correct)
        else:
            mix, notes = _class_mix(predictions, test_predictions)
            parts["lost to the mix of classes alone"] = mix
    times = None if paired else ratio(here, test)
    if times is not None:
        parts["error here / error on test"] = times
    return Reading(
        mean(rows) if paired else difference(here, test),
        null=exact(0.0),
        parts=parts,
        per_example=rows,
        figures=(Bars("Error on test and on the shift", "error", {"test": test, "here": here}),),
        notes=notes,
    )


def _paired(first: Predictions, second: Predictions) -> bool:
    """Whether both are about the same examples, as far as the targets tell."""
    with_targets = (ClassPredictions, RealPredictions)
    if not (isinstance(first, with_targets) and isinstance(second, with_targets)):
        return False
    a, b = first.targets, second.targets
    return a.shape == b.shape and bool((a == b).all())


def _turned(here: Tensor, test: Tensor) -> dict[str, Estimate]:
    """Of the hits on test those that turn into mistakes, and the other way round."""
    shares = {
        "of the hits on test, lost": (test, ~here),
        "of the mistakes on test, repaired": (~test, here),
    }
    return {
        name: proportion(int((among & turned).sum()), int(among.sum()))
        for name, (among, turned) in shares.items()
        if bool(among.any())
    }


def _class_mix(here: ClassPredictions, test: ClassPredictions) -> tuple[Estimate, tuple[str, ...]]:
    """What test itself would lose if it had the shift's mix of classes, the mix taken as given."""
    classes = test.logits.shape[1]
    there, home = _shares(here.targets, classes), _shares(test.targets, classes)
    missing = ((home == 0) & (there > 0)).nonzero().flatten().tolist()
    weight = (there / home)[test.targets]
    notes = tuple(f"Class {k} occurs here and not in test." for k in missing)
    return mean(weight * test.error - test.error), notes


def _shares(targets: Tensor, classes: int) -> Float[Tensor, " classes"]:
    return torch.bincount(targets, minlength=classes).double() / len(targets)
