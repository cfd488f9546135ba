"""The pictures of the why section: which figures say why, and what to look for in them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Exhibit:
    """Figures that answer one question.

    Args:
        asks: The question.
        look: What to look for.
        measures: Whose figures; the first that was read is shown, with all its splits.
        figure: Words that the title of a figure holds; all of its figures where empty.
        splits: How many splits' figures are shown; the others are with their readings.
    """

    asks: str
    look: str
    measures: tuple[str, ...]
    figure: str = ""
    splits: int = 4


EXHIBITS = (
    Exhibit(
        "Where does the data lie, and where on it are the mistakes?",
        "Each point is an example; points are near if many small steps through the training data "
        "lead from one to the other. Mistakes at a rim or between parts ask for data there; a "
        "shift that lands among train is a change of kind, not of place.",
        ("diffusion_map",),
    ),
    Exhibit(
        "Is what comes in near what was shown?",
        "The share of a split within a distance of train, beside the same for train itself. A "
        "curve to the right of train's is farther out than the training data is from itself; one "
        "to the left means copies. Below: what lies farthest out, beside its nearest neighbor.",
        ("train_neighbor_distance",),
    ),
    Exhibit(
        "Interpolation or extrapolation?",
        "The share inside the convex hull of train falls with the number of dimensions for any "
        "data: only the distance from the Gaussian line says something of yours.",
        ("hull_membership",),
        "by dimension",
    ),
    Exhibit(
        "How many dimensions does the data have?",
        "Few dimensions are filled by few examples. Where estimators or scales disagree, there is "
        "no single number; above ten all of them read low.",
        ("intrinsic_dimension",),
    ),
    Exhibit(
        "What do the layers make of these dimensions?",
        "A classifier that has found its classes narrows towards its head; a layer wider than "
        "the input spreads noise.",
        ("layer_dimension",),
    ),
    Exhibit(
        "Is the data one piece?",
        "Pieces that no chain of small steps connects: nothing was shown in between, and a "
        "prediction there is a guess.",
        ("manifold_components",),
    ),
    Exhibit(
        "Do straight lines between examples stay near the data?",
        "1: halfway between two examples one is as near to train as real examples are. A layer "
        "nearer to 1 than the inputs has flattened the data; above it, lines lead off the map.",
        ("midpoint_on_manifold",),
    ),
    Exhibit(
        "Which directions were never shown?",
        "What a layer reads along directions that the training data never took is weighed by "
        "numbers that training never changed.",
        ("unseen_directions",),
        splits=1,
    ),
    Exhibit(
        "How far may an input move before its label does?",
        "Half the distance to the nearest example of another class. Pairs at nearly no distance "
        "are doubtful labels: look at them first.",
        ("label_separation",),
    ),
    Exhibit(
        "How fast does the network change?",
        "The truth lies between what was found by search and what is proved. Bars far apart: the "
        "proof is loose; a high lower end: the network is steep.",
        ("local_lipschitz",),
    ),
    Exhibit(
        "How much is certified, and what limits it?",
        "Certified: so near a training example that neither network nor target can have changed "
        "since. What limits it is what to work on: more data there, a smoother network, or "
        "classes that lie apart.",
        ("dense_subset_certificate",),
    ),
)

EXHIBITED = {measure for exhibit in EXHIBITS for measure in exhibit.measures}
