"""Is the network a nearest-neighbor machine in its own features?"""

from offmap.inputs import ClassPredictions, TrainNeighbors
from offmap.measure import Cost, Paper, measure
from offmap.measures.memorization.lookup import lookup_reading
from offmap.reading import Reading
from offmap.run import Split


@measure(
    asks="How often does the network say what its nearest training features are labeled?",
    unit="share of examples",
    span=(0.0, 1.0),
    better="higher",
    cost=Cost.FORWARD,
    read="Near 1: examples lie in the features among others of the class that the network names, "
    "as in a network that learned classes. Far below 1, and near the null: neighbors in the "
    "features carry other labels, as in a network that memorized single examples.",
    caution="Two accurate answerers agree whatever they do: read it against the null. High on a "
    "shift means consistent, not right: look at the agreement on the network's mistakes.",
    next_step="If it is low, look at the disagreements: wrong training labels show up here. Check "
    "the labels, then regularize or stop earlier.",
    paper=Paper("Cohen et al. 2018", "https://arxiv.org/abs/1805.06822"),
)
def feature_lookup_agreement(
    split: Split, train: Split, predictions: ClassPredictions, feature_neighbors: TrainNeighbors
) -> Reading:
    """Agreement of the network with the label of the example nearest in feature space (1-NN).

    The null is the agreement of answers that are independent given the target: each answer of
    the network against the lookup's answers on the other examples of the same class.

    Raises:
        CannotMeasure: If every class of the split has a single example.
    """
    return lookup_reading(split, train, predictions, feature_neighbors)
