"""Does the network do more than look up the nearest training input?"""

from offmap.inputs import ClassPredictions, TrainNeighbors
from offmap.measure import Cost, Paper, measure
from offmap.measures.memorization.lookup import lookup_reading
from offmap.reading import Reading
from offmap.run import Split


@measure(
    asks="How often does the network say what the nearest training input is labeled?",
    unit="share of examples",
    span=(0.0, 1.0),
    better="neither",
    cost=Cost.FORWARD,
    read="At the null: network and lookup table share nothing but how well they know each class. "
    "Well above it, on the network's mistakes too: it errs where a lookup errs. The part 'what "
    "the network adds' is its accuracy less that of the lookup: 0 or less and a table would do.",
    caution="Two accurate answerers agree whatever they do: read it against the null. The lookup "
    "uses raw Euclidean distance, which is poor for pictures; repeated examples flatter it.",
    next_step="If the network adds nothing, a simpler model would do, or its invariances are "
    "wrong: add augmentation or structure that the distance does not have.",
    paper=Paper("Cohen et al. 2018", "https://arxiv.org/abs/1805.06822"),
)
def lookup_agreement(
    split: Split, train: Split, predictions: ClassPredictions, neighbors: TrainNeighbors
) -> Reading:
    """Agreement of the network with the label of the nearest training input (1-NN).

    The null is the agreement of answers that are independent given the target: each answer of
    the network against the lookup's answers on the other examples of the same class.

    Raises:
        CannotMeasure: If every class of the split has a single example.
    """
    return lookup_reading(split, train, predictions, neighbors)
