"""A map of the data as the network sees it."""

from collections.abc import Mapping

import torch

from offmap.inputs import Features, Predictions
from offmap.measure import Cost, Paper, measure
from offmap.measures.geometry.data_map import map_reading
from offmap.reading import Reading
from offmap.run import Split


@measure(
    asks="What does the data look like to the network, and can that picture be believed?",
    unit="share of examples",
    span=(0.0, 1.0),
    better="neither",
    cost=Cost.FORWARD,
    read="1: whatever lies side by side on the picture has like features. 0.1: of ten examples, "
    "one lies beside a training example whose features are truly near. 0.01: chance.",
    caution="Two coordinates of many: with more than three well separated classes some must "
    "overlap. A shift that sits amid train here need not look familiar, only give features that "
    "do. Directions and empty spaces mean nothing.",
    next_step="Failures between the classes are doubtful cases: let a guard refuse them. Failures "
    "deep inside another class are mistaken labels or shortcuts: look at these rows.",
    paper=Paper("Coifman & Lafon 2006", "https://doi.org/10.1016/j.acha.2006.04.006"),
)
def feature_map(
    train: Split,
    train_features: Features,
    all_features: Mapping[str, Features],
    all_predictions: Mapping[str, Predictions],
    *,
    landmarks: int = 2000,
    examples: int = 500,
    coordinates: int = 8,
    generator: torch.Generator,
) -> Reading:
    """Share of test examples whose neighbor on the picture is a neighbor in feature space.

    The same as `diffusion_map`, of the vectors that the head reads.

    Args:
        train: For the classes of the landmarks.
        train_features: Where the landmarks come from.
        all_features: What is placed on the map.
        all_predictions: Of these splits: where the network fails.
        landmarks: How many at most (fewer where memory is short).
        examples: How many of each split are placed.
        coordinates: How many are computed; two are drawn.
        generator: Source of the samples.

    Raises:
        CannotMeasure: If fewer than 50 landmarks differ from each other.
    """
    return map_reading(
        train,
        train_features.table,
        {name: features.table for name, features in all_features.items()},
        all_predictions,
        landmarks=landmarks,
        examples=examples,
        coordinates=coordinates,
        generator=generator,
    )
