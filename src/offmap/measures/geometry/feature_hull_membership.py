"""Are the features inside the convex hull of the training features?"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from offmap.estimate import Estimate, exact, proportion
from offmap.figures import Bars
from offmap.inputs import Features, Layers, Predictions
from offmap.measure import Cost, Paper, measure
from offmap.measures.geometry.inside import (
    decided,
    gaussian_reference,
    hull_budget,
    hull_reading,
    sampled,
)
from offmap.numerics.principal import principal_components
from offmap.reading import Reading
from offmap.run import Domain


@measure(
    asks="How much of this split lies between training examples in the network's own features?",
    unit="share of examples",
    span=(0.0, 1.0),
    better="neither",
    cost=Cost.FORWARD,
    read="0: every example is outside, as in most spaces of more than 30 features: compare with "
    "the null, the share for Gaussian data. In the first 8 components 0.9 is much and 0.1 little "
    "for a thousand training examples, of which Gaussian data give 0.5.",
    caution="Features on a sphere (normalized) are never inside. Features that collapse to a point "
    "a class push fresh examples out. A projection can only move examples inside, so a share in "
    "few components is an upper bound for the layer.",
    next_step="None of its own: that a network extrapolates is no fault. Look at the error "
    "outside minus inside among the parts; if it is far from 0, guard by feature distance.",
    paper=Paper("Balestriero et al. 2021", "https://arxiv.org/abs/2110.09485"),
)
def feature_hull_membership(
    features: Features,
    train_features: Features,
    layers: Layers,
    train_layers: Layers,
    domain: Domain,
    all_predictions: Mapping[str, Predictions],
    *,
    dimensions: tuple[int, ...] = (2, 4, 8, 16, 32),
    components: int = 8,
    examples: int = 1000,
    generator: torch.Generator,
) -> Reading:
    r"""Share of a split inside the convex hull of the training features. See `hull_membership`.

    The parts add every layer on the way, inputs first: the share inside in the first principal
    components of that layer's outputs on at most 1,000 training examples, whose hull it is.

    Args:
        features: Of the split.
        train_features: Of the training examples.
        layers: What every layer makes of the split.
        train_layers: What it makes of train.
        domain: Of tokens the inputs are left out.
        all_predictions: Whose errors are compared.
        dimensions: How many principal components of the features are looked at.
        components: How many of every layer are.
        examples: How many examples of the split are looked at, drawn at random.
        generator: Source of that draw.

    Raises:
        ValueError: If dimensions are not positive and increasing, components < 1 or examples < 1.
        CannotMeasure: If the training features are a single point, their hull takes more than the
            memory budget, or the examples are all copies of training examples.
    """
    name = layers.split.name
    rows = sampled(len(features), examples, generator)
    predictions = all_predictions.get(name)
    reading = hull_reading(
        name, len(features), rows, features.take(rows), train_features.table,
        None if predictions is None else predictions.error,
        dimensions=dimensions, memory=features.memory, generator=generator,
    )  # fmt: skip
    chosen = sampled(len(layers.rows), examples, generator)
    shares: dict[str, Estimate] = {}
    notes = []
    for stage, theirs, own in _stages(layers, train_layers, domain):
        axes = principal_components(own, components, generator=generator)
        if axes.axes.shape[1] < components:
            notes.append(
                f"The outputs of {stage} on train fill fewer than {components} dimensions."
            )
            continue
        here = axes.project(theirs[chosen.to(theirs.device)])
        budget = hull_budget(len(own), components, features.memory)
        inside = decided(axes.project(own), here, budget).inside
        shares[stage] = proportion(int(inside.sum()), len(inside))
    seen = len(train_layers.rows)
    reference = exact(gaussian_reference(seen, components), seen)
    named = {f"{stage}: inside, {components} components": e for stage, e in shares.items()}
    bars = Bars(
        f"Inside the hull of {seen:,} training examples, {components} components",
        "share inside",
        {**shares, "Gaussian data": reference},
    )
    return replace(
        reading,
        parts={**reading.parts, **named, "layers: Gaussian data": reference},
        figures=(*reading.figures, bars),
        notes=(*reading.notes, *notes),
    )


def _stages(
    layers: Layers, train_layers: Layers, domain: Domain
) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Name of the inputs and of each layer, with its values for the split and for train."""
    if domain.kind != "tokens":
        theirs, own = (of.split.take(of.rows).inputs.flatten(1) for of in (layers, train_layers))
        yield "inputs", theirs, own
    for (name, theirs), (_, own) in zip(layers, train_layers, strict=True):
        yield name, theirs, own
