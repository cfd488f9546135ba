"""Are the inputs inside the convex hull of the training inputs?"""

from collections.abc import Mapping

import torch

from offmap.attempt import CannotMeasure
from offmap.inputs import Predictions
from offmap.measure import Cost, Paper, measure
from offmap.measures.geometry.inside import hull_reading, sampled
from offmap.reading import Reading
from offmap.run import Domain, Split


@measure(
    asks="How much of this split lies between training examples, in their convex hull?",
    unit="share of examples",
    span=(0.0, 1.0),
    better="neither",
    cost=Cost.FORWARD,
    read="0: every example is outside, as of any data with more than about 30 dimensions: the null "
    "says what Gaussian data of the same number and dimension give. 0.5 where the null says 0.9: "
    "bounded or clustered data, or examples from elsewhere. Compare a shift with test.",
    caution="No measure of generalization: networks that are right on 99 of 100 examples are "
    "right outside the hull. On a sphere (normalized data) or on the corners of a cube (binary "
    "data) the answer is 0 by construction. A projection can only move examples inside.",
    next_step="Do not collect data to fill the hull: the notes say how many it would take. Look at "
    "the error outside minus inside among the parts; if it is far from 0, guard by distance.",
    paper=Paper("Balestriero et al. 2021", "https://arxiv.org/abs/2110.09485"),
)
def hull_membership(
    split: Split,
    train: Split,
    domain: Domain,
    all_predictions: Mapping[str, Predictions],
    *,
    dimensions: tuple[int, ...] = (2, 4, 8, 16, 32),
    examples: int = 1000,
    generator: torch.Generator,
) -> Reading:
    r"""Share of a split inside the convex hull of the training inputs, each side with its proof.

    .. math:: P\Bigl(x = \sum_i \lambda_i x_i,\ \lambda_i \ge 0,\ \sum_i \lambda_i = 1\Bigr)

    in the whole input space (the headline) and in the first principal components of train, fitted
    to at most 4,096 of its examples and scaled to unit variance, which changes no answer. An
    example that is inside is so in every projection. Those that equal a training example are
    inside trivially: they are counted apart and left out of every share.

    The null is the exact share for Gaussian data: as many different training examples, in as many
    dimensions as they span (Kabluchko and Zaporozhets 2020). The parts compare the error of the
    network outside and inside, in the space that divides the examples most evenly, where at least
    ten lie on either side.

    `per_example` is the largest number of dimensions, of those looked at, in which an example is
    inside: 0 where it is in none. NaN for copies, and for examples that were not drawn.

    Args:
        split: The examples to read.
        train: What the network was trained on.
        domain: Tokens have no hull.
        all_predictions: Whose errors are compared.
        dimensions: How many principal components are looked at.
        examples: How many examples of the split are looked at, drawn at random.
        generator: Source of that draw.

    Raises:
        ValueError: If the dimensions are not positive and increasing, or examples < 1.
        CannotMeasure: If the inputs are tokens, train is a single point, its hull takes more than
            the memory budget, or the examples are all copies of training examples.
    """
    if domain.kind == "tokens":
        raise CannotMeasure("token numbers have no convex hull")
    rows = sampled(len(split), examples, generator)
    predictions = all_predictions.get(split.name)
    return hull_reading(
        split.name, len(split), rows, split.table.take(rows), train.table,
        None if predictions is None else predictions.error,
        dimensions=dimensions, memory=split.memory, generator=generator,
    )  # fmt: skip
