"""How many directions do the network's representations fill?"""

import math
from collections.abc import Iterator

import torch
from jaxtyping import Shaped
from scipy import special
from torch import Tensor

from offmap.attempt import CannotMeasure
from offmap.estimate import TAIL, Estimate, exact
from offmap.figures import Bars
from offmap.inputs import Features, Layers
from offmap.measure import Cost, Paper, measure
from offmap.numerics.spectrum import Width, centered_gram, participation_ratio, stable_rank
from offmap.reading import Reading
from offmap.run import Domain

LEAST = 50  # points below which neither number means anything


@measure(
    asks="How many directions do the features that the head reads fill?",
    unit="dimensions",
    span=(1.0, math.inf),
    better="neither",
    cost=Cost.FORWARD,
    read="1: all variance along one line. C - 1 for C classes: little is left but the class. As "
    "many as features: they fill their space evenly. A fall from layer to layer is compression; "
    "far fewer than C - 1 in the last layer means classes that share directions.",
    caution="Linear: a curved sheet of few dimensions can fill many directions. Dominated by the "
    "largest variances: hundreds of weak directions that matter add almost nothing. Depends on "
    "the scale of the features relative to one another.",
    next_step="If it is below the number of classes less one, widen the narrow layer that the "
    "parts show, or train with less weight decay; if it stays near that of the inputs, the "
    "network compresses little: compare weak generalization at another depth.",
    paper=Paper("Recanatesi et al. 2019", "https://arxiv.org/abs/1906.00443"),
)
def effective_rank(
    features: Features, layers: Layers, domain: Domain, *, examples: int = 1000
) -> Reading:
    r"""Participation ratio of the features, and of the inputs and every layer on the way.

    .. math:: \frac{(\operatorname{tr} S)^2}{\operatorname{tr} S^2}

    with the covariance S of the law behind the examples, not of the sample: both traces are
    estimated without bias (Himeno and Yamada 2014), and the interval is the jackknife's for the
    logarithm. The parts add the stable rank :math:`\operatorname{tr} S / \lambda_1` as an interval
    between an estimate that is too low on average and one that is too high, its value the middle.

    The null is the number of features: that of an isotropic cloud.

    Args:
        features: Of the split.
        layers: The same split's, at every layer.
        domain: Tokens have no directions: their inputs are left out.
        examples: How many of the sampled examples are used.

    Raises:
        ValueError: If fewer than 50 examples are asked for.
        CannotMeasure: If the split has fewer than 50 examples, or the features do not vary.
    """
    if examples < LEAST:
        raise ValueError(f"expected examples >= {LEAST}, got {examples}")
    if len(layers.rows) < LEAST:
        raise CannotMeasure(
            f"directions are counted over at least {LEAST} examples, got {len(layers.rows)}"
        )
    # Evenly spaced: the sample may be sorted by row, and rows by class.
    chosen = torch.linspace(0, len(layers.rows) - 1, min(examples, len(layers.rows))).long()
    headline = _ranks(features.take(layers.rows[chosen]))
    if headline is None:
        raise CannotMeasure(f"the features of {len(chosen)} examples do not vary enough")

    ratios: dict[str, Estimate] = {}
    ranks: dict[str, Estimate] = {}
    notes = []
    for name, values in _stages(layers, domain, chosen):
        found = _ranks(values)
        if found is None:
            notes.append(f"The outputs of {name} do not vary enough to count directions.")
        else:
            ratios[name], ranks[name] = found
    parts = {"stable rank": headline[1]}
    parts |= {f"{name}: participation ratio": found for name, found in ratios.items()}
    parts |= {f"{name}: stable rank": found for name, found in ranks.items()}
    ratios["features"], ranks["features"] = headline
    return Reading(
        headline[0],
        null=exact(features.dimension),
        parts=parts,
        figures=(
            Bars("Participation ratio on the way through the network", "dimensions", ratios),
            Bars("Stable rank on the way through the network", "dimensions", ranks),
        ),
        notes=tuple(notes),
    )


def _stages(layers: Layers, domain: Domain, chosen: Tensor) -> Iterator[tuple[str, Tensor]]:
    """The inputs, where they are numbers, and the output of each layer: name and [m, d]."""
    if domain.kind != "tokens":
        yield "inputs", layers.split.take(layers.rows[chosen]).inputs.flatten(1)
    for name, values in layers:
        yield name, values[chosen.to(values.device)]


def _ranks(values: Shaped[Tensor, "m d"]) -> tuple[Estimate, Estimate] | None:
    """Participation ratio and stable rank of one representation; None where it does not vary."""
    m, d = values.shape
    gram = centered_gram(values)
    ratio, (below, above) = participation_ratio(gram), stable_rank(gram)
    if not all(math.isfinite(number) for number in (*ratio, *below, *above)):
        return None

    student = float(special.stdtrit(m - 1, 1 - TAIL))

    def edge(width: Width, side: float) -> float:
        return min(max(width.value * math.exp(side * student * width.log_error), 1.0), float(d))

    low, middle, high = (edge(ratio, side) for side in (-1.0, 0.0, 1.0))
    bottom, top = sorted((edge(below, -1.0), edge(above, 1.0)))
    return (
        Estimate(middle, low, high, "jackknife", m),
        Estimate((bottom + top) / 2, bottom, top, "bound", m),
    )
