"""The popular belief about class and example weights, for training until nothing changes."""

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.implicit_bias.reweighting import angle, descend, separable, weightings
from offmap.lab.claims.implicit_bias.reweighting_null import SCALES


@claim(
    says="To give five examples fifty times the weight moves the boundary of a linear classifier "
    "that is trained to the end, by more than 5 degrees.",
    effect="Degrees between the classifiers trained with and without the weights.",
    above=5.0,
    scales=SCALES,
    seconds={"smoke": 0.08, "desk": 0.5, "full": 5},
    paper=Paper("Byrd & Lipton 2019", "https://arxiv.org/abs/1812.03372"),
    corrected="reweighting_null",
)
def reweighting_moves_boundary(
    *, n: int, dimension: int, steps: int, generator: torch.Generator
) -> Trial:
    """The training of reweighting_null, on data that can be separated.

    Control: the same after ten steps, where the weights do move the boundary.
    """
    signed = separable(n, dimension, generator)
    path = descend(signed, weightings(n, generator)[:2], torch.tensor([10, 100, steps]))
    early, later, end = angle(path[:, 0], path[:, 1]).tolist()
    return Trial(
        effect=end,
        parts={"degrees after 10 steps": early, "degrees after 100 steps": later},
    )
