"""On how many dimensions do the network's representations lie?"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from offmap.attempt import CannotMeasure
from offmap.estimate import Estimate
from offmap.figures import Bars
from offmap.inputs import Features, Layers, TrainNeighbors
from offmap.measure import Cost, Paper, measure
from offmap.measures.geometry.dimension_reading import (
    by_distance,
    disagreement,
    estimate,
    gaussian_cloud,
    likelihood,
    looked_up,
    looked_up_in,
    remarks,
    scale_curve,
)
from offmap.numerics.dimension import two_nn
from offmap.reading import Reading
from offmap.run import Domain


@measure(
    asks="On how many dimensions does each layer lay out the training data?",
    unit="dimensions",
    span=(0.0, math.inf),
    better="neither",
    cost=Cost.FORWARD,
    read="Networks that generalize rise in the first layers and fall to the last: 12 at the "
    "inputs, 6 in the features, say. Features near the null, a Gaussian cloud of the same "
    "covariance, fill what they span; far below it they lie on a curved sheet.",
    caution="Above 10 every estimator reads too little: 20 dimensions read 15 to 18 from 2,000 "
    "points. Layers are compared on the same 1,000 examples, the headline is read from all of "
    "train; do not compare the two. A layer in which rectifiers are dead holds copies and is "
    "refused.",
    next_step="If the features keep the dimension of the inputs, the network sorts little out: "
    "compare weak generalization at another depth or with more regularization. If one layer falls "
    "below all that follow, widen it.",
    paper=Paper("Ansuini et al. 2019", "https://arxiv.org/abs/1905.12784"),
)
def layer_dimension(
    train_features: Features,
    train_feature_neighbors: TrainNeighbors,
    train_layers: Layers,
    domain: Domain,
    *,
    k: int = 20,
    generator: torch.Generator,
) -> Reading:
    """Intrinsic dimension of the features that the head reads, and of every layer on the way.

    By maximum likelihood from k neighbors, as `intrinsic_dimension` does for the inputs. Inputs,
    layers and features are compared on the same sample of training examples, each searched among
    the others; the headline uses the search over all training features.

    The null is the estimate for a Gaussian cloud with the features' covariance and number.

    Args:
        train_features: Of the training examples.
        train_feature_neighbors: Of training examples among the others.
        train_layers: The training examples at every layer.
        domain: Tokens have no distance: their inputs are left out.
        k: Neighbors that the estimate uses.
        generator: Source of the Gaussian cloud.

    Raises:
        ValueError: If k < 3.
        CannotMeasure: If there are fewer than 50 training examples, or more than one in 20 is a
            copy in feature space, or equally far from its first two neighbors.
    """
    if k < 3:
        raise ValueError(f"expected k >= 3, got {k}")
    near = looked_up(train_feature_neighbors, "training features")
    features = train_features.take(train_layers.rows)
    cloud = gaussian_cloud(
        features, len(train_features), k=near.k, memory=train_features.memory, generator=generator
    )
    headline, found = likelihood(near, k=k), by_distance(near, k=k)
    bars: dict[str, Estimate] = {}
    finest: dict[str, Estimate] = {}
    notes = []
    for name, values in (*_stages(train_layers, domain), ("features", features)):
        try:
            stage = looked_up_in(values, f"outputs of {name}", k=k)
        except CannotMeasure as reason:  # one layer's: the others have an answer
            notes.append(f"Not measured: {reason}.")
            continue
        bars[name], finest[name] = likelihood(stage, k=k), estimate(two_nn(stage))
    spread = disagreement(found)
    parts = found | {"largest estimate over smallest": spread}
    parts |= {f"{name}: maximum likelihood": one for name, one in bars.items()}
    parts |= {f"{name}: TwoNN": one for name, one in finest.items()}
    figures = [scale_curve(near, cloud)]
    return Reading(
        headline,
        null=likelihood(cloud, k=k),
        parts=parts,
        figures=(*figures, *_bars(bars, finest, len(features))),
        notes=(*remarks(headline, spread, near.copies, "training features"), *notes),
    )


def _stages(layers: Layers, domain: Domain) -> Iterator[tuple[str, Tensor]]:
    """The inputs, where they are numbers, and the output of each layer: name and [m, d]."""
    if domain.kind != "tokens":
        yield "inputs", layers.split.take(layers.rows).inputs.flatten(1)
    yield from layers


def _bars(bars: dict[str, Estimate], finest: dict[str, Estimate], m: int) -> tuple[Bars, ...]:
    """Both estimates on the way through the network, where any layer has one."""
    if not bars:
        return ()
    where = f"on the way through the network, {m:,} examples"
    return (
        Bars(f"Dimension (maximum likelihood) {where}", "dimensions", bars),
        Bars(f"Dimension (TwoNN) {where}", "dimensions", finest),
    )
