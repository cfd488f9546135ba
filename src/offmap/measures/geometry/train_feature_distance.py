"""Does the split lie where the training features are dense?"""

from offmap.inputs import TrainNeighbors
from offmap.measure import Cost, Paper, measure
from offmap.measures.geometry.nearest_train import distance_reading
from offmap.reading import Reading
from offmap.run import Split


@measure(
    asks="How much of this split looks to the network unlike anything it was trained on?",
    unit="share of examples",
    span=(0.0, 1.0),
    better="lower",
    cost=Cost.FORWARD,
    read="0.05: the features are as near to train's as those are to one another. 0.5: half of the "
    "examples lie farther out than 95 % of train does.",
    caution="The network pulls its training examples together more than fresh ones: even on test "
    "more than 0.05 is common, and that excess is itself the finding. What the network ignores "
    "cannot be seen here: an input far off can have familiar features.",
    next_step="Where test is near 0.05 and a shift is not, refuse far inputs with a guard on "
    "feature distance. Where test itself is far, the network overfits: regularize or add data.",
    paper=Paper("Sun et al. 2022", "https://arxiv.org/abs/2204.06507"),
)
def train_feature_distance(
    split: Split, feature_neighbors: TrainNeighbors, train_feature_neighbors: TrainNeighbors
) -> Reading:
    r"""Share of the split beyond the 95 % quantile of training nearest-neighbor feature distances.

    .. math:: P(d(x) > q), \qquad d(x) = \min_j \lVert h(x) - h(x_j) \rVert_2

    with h the input of the head and q the quantile of the same distance among training examples,
    each left out of its own search. See `train_neighbor_distance`.

    Raises:
        CannotMeasure: If there are fewer than 72 training examples.
    """
    return distance_reading(split, feature_neighbors, train_feature_neighbors)
