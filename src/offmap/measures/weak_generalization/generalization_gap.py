"""How much worse is the network on fresh data than on the data that it was trained on?"""

from offmap.estimate import difference, exact, mean, ratio
from offmap.figures import Bars
from offmap.inputs import ClassPredictions, Predictions, TokenPredictions
from offmap.measure import Cost, Paper, measure
from offmap.reading import Reading


@measure(
    asks="How much more often is the network wrong here than on its training data?",
    unit="error",
    span=(-float("inf"), float("inf")),
    better="lower",
    cost=Cost.FORWARD,
    read="For classes and tokens, errors are shares: 0 means as good as on the training data, 0.05 "
    "five more mistakes in a hundred examples. For regression and reconstruction they are mean "
    "squared errors in the target's unit squared: look at the ratio among the parts, 1 for no gap.",
    caution="A small gap is no praise: a network that is wrong everywhere has none. Train is read "
    "in evaluation mode, without dropout and augmentation, and counts as a sample like the split, "
    "so that the interval tells whether both could come from one source.",
    next_step="If the gap is large and train error small: more data or augmentation, then "
    "regularization. If both errors are large: a larger network or longer training.",
    paper=Paper("Zhang et al. 2017", "https://arxiv.org/abs/1611.03530"),
)
def generalization_gap(predictions: Predictions, train_predictions: Predictions) -> Reading:
    r"""Mean error on the split minus mean error on train.

    .. math:: \frac1n \sum_{i \in \text{split}} e_i - \frac1m \sum_{j \in \text{train}} e_j

    with :math:`e` 0 or 1 for a class, the share of wrong tokens in a sequence, or a squared
    error. The interval combines those of two independent means.

    Returns:
        `per_example` is the loss of each example of the split.
    """
    here, train = mean(predictions.error), mean(train_predictions.error)
    parts = {"error here": here, "error on train": train}
    times = ratio(here, train)
    if times is not None:
        parts["error here / error on train"] = times
    if isinstance(predictions, (ClassPredictions, TokenPredictions)):
        parts["loss gap in nats"] = difference(mean(predictions.loss), mean(train_predictions.loss))
    gap = difference(here, train)
    notes = ("This split is easier for the network than its training data.",) * (gap.high < 0)
    return Reading(
        gap,
        null=exact(0.0),
        parts=parts,
        per_example=predictions.loss,
        figures=(Bars("Error here and on train", "error", {"train": train, "here": here}),),
        notes=notes,
    )
