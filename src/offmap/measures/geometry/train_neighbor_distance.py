"""Does the split lie where the training inputs are dense?"""

from offmap.inputs import TrainNeighbors
from offmap.measure import Cost, Paper, measure
from offmap.measures.geometry.nearest_train import distance_reading
from offmap.reading import Reading
from offmap.run import Split


@measure(
    asks="How much of this split is farther from every training input than train is from itself?",
    unit="share of examples",
    span=(0.0, 1.0),
    better="lower",
    cost=Cost.FORWARD,
    read="0.05: as near to train as train is to itself. 0.5: half of the examples lie farther out "
    "than 95 % of train does. 0: nearer than train is to itself, which means copies.",
    caution="Raw Euclidean distance: a small shift or a change of brightness can be far, and a "
    "feature in large units drowns the others. Near in the input is not near for the network: see "
    "train_feature_distance. Being far is no error by itself.",
    next_step="Look at the farthest examples beside their nearest in train. Collect or simulate "
    "data like them, or have a guard refuse inputs beyond the reference distance.",
    paper=Paper("Sun et al. 2022", "https://arxiv.org/abs/2204.06507"),
)
def train_neighbor_distance(
    split: Split, neighbors: TrainNeighbors, train_neighbors: TrainNeighbors
) -> Reading:
    r"""Share of the split beyond the 95 % quantile of training nearest-neighbor distances.

    .. math:: P(d(x) > q), \qquad d(x) = \min_j \lVert x - x_j \rVert_2

    with q the quantile of the same distance among training examples, each left out of its own
    search: that is a coverage by n - 1 examples rather than n, a difference that vanishes beside
    the interval. A fresh example of the training law exceeds q with probability 0.05, whatever
    the law. The interval counts the error of q.

    Raises:
        CannotMeasure: If there are fewer than 72 training examples.
    """
    return distance_reading(split, neighbors, train_neighbors)
