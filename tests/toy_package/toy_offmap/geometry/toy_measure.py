"""How long are the inputs?"""

import math

import torch

from offmap.estimate import exact, mean
from offmap.figures import Histogram
from offmap.measure import Cost, Paper, measure
from offmap.reading import Reading
from offmap.run import Split


@measure(
    asks="How long is an input, as a vector?",
    unit="length",
    span=(0.0, math.inf),
    better="neither",
    cost=Cost.WEIGHTS,
    read="8: the root of 64 pixels that are all 1. 0: nothing but black.",
    caution="Blind to direction.",
    next_step="Rescale the inputs if splits differ.",
    paper=Paper("Euclid", "https://en.wikipedia.org/wiki/Euclidean_distance"),
)
def toy_measure(split: Split, *, scale: float = 1.0) -> Reading:
    """Mean Euclidean length of the inputs.

    Args:
        split: The examples to read.
        scale: What lengths are multiplied by.
    """
    batches = [batch.inputs.flatten(1).double().norm(dim=1) for batch in split.batches(256)]
    lengths = scale * torch.cat(batches)
    counts, edges = torch.histogram(lengths, bins=10)
    return Reading(
        mean(lengths),
        null=exact(0.0),
        per_example=lengths,
        figures=(Histogram("Lengths", "length", edges, {"": counts}),),
    )
