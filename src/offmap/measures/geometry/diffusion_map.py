"""A map of the data: what lies near what, and where the failures are."""

from collections.abc import Mapping

import torch

from offmap.attempt import CannotMeasure
from offmap.inputs import Predictions
from offmap.measure import Cost, Paper, measure
from offmap.measures.geometry.data_map import map_reading
from offmap.reading import Reading
from offmap.run import Domain, Split


@measure(
    asks="What does the data look like from afar, and can that picture be believed?",
    unit="share of examples",
    span=(0.0, 1.0),
    better="neither",
    cost=Cost.FORWARD,
    read="1: whatever lies side by side on the picture does so in the data. 0.1: of ten examples, "
    "one lies beside a training example that is truly near it, and the picture shows broad "
    "outlines only. 0.01: chance.",
    caution="Two coordinates of many: what overlaps on the picture may be far apart. Examples off "
    "the map are drawn beside their nearest landmark, wherever they are. Which way is up, left or "
    "right means nothing, nor does the size of an empty space.",
    next_step="See whether failures gather: in a corner that train covers thinly, collect data "
    "there; among other classes, look at labels; everywhere, the inputs do not tell why. Shifts "
    "that are off the map are for a guard to refuse.",
    paper=Paper("Coifman & Lafon 2006", "https://doi.org/10.1016/j.acha.2006.04.006"),
)
def diffusion_map(
    train: Split,
    all_split: Mapping[str, Split],
    all_predictions: Mapping[str, Predictions],
    domain: Domain,
    *,
    landmarks: int = 2000,
    examples: int = 500,
    coordinates: int = 8,
    generator: torch.Generator,
) -> Reading:
    r"""Share of test examples whose neighbor on the picture is a neighbor in the data.

    The first two diffusion coordinates of train (the slowest modes of a walk between landmarks,
    corrected for their density), on which test and every shift are placed by Nystrom's extension.
    The bandwidth is the smallest at which no landmark stands alone. An example counts where the
    landmark nearest on the picture is among the nearest 1 % in the data; the null is 1 %.

    The parts give the share of each split that is off the map: whose weights at the landmarks sum
    to less than do those of 95 % of the landmarks at the others.

    Args:
        train: Where the landmarks come from; copies and isolated examples are none.
        all_split: What is placed on the map.
        all_predictions: Of these splits: where the network fails.
        domain: Tokens have no distance.
        landmarks: How many at most (fewer where memory is short).
        examples: How many of each split are placed.
        coordinates: How many are computed; two are drawn.
        generator: Source of the samples.

    Raises:
        CannotMeasure: If inputs are tokens, or fewer than 50 landmarks differ from each other.
    """
    if domain.kind == "tokens":
        raise CannotMeasure("token numbers have no Euclidean distance")
    return map_reading(
        train,
        train.table,
        {name: split.table for name, split in all_split.items()},
        all_predictions,
        landmarks=landmarks,
        examples=examples,
        coordinates=coordinates,
        generator=generator,
    )
