"""The popular form, as conjectured: a vanishing start finds the least nuclear norm."""

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.implicit_bias.factorization_lowest_rank import complete, figure, last


@claim(
    says="From a vanishing start, gradient descent on U U' ends at the least nuclear norm whatever "
    "is measured: single entries as well.",
    effect="nuclear norm from the smallest start over the least, less one",
    below=0.005,
    scales={
        "smoke": {"smallest": 1e-4, "most": 30_000},
        "desk": {"smallest": 1e-6, "most": 200_000},
        "full": {"smallest": 1e-8, "most": 1_000_000},
    },
    seconds={"smoke": 0.1, "desk": 0.5, "full": 3.0},
    paper=Paper("Gunasekar et al. 2017", "https://arxiv.org/abs/1705.09280"),
    corrected="factorization_lowest_rank",
)
def factorization_completion(*, smallest: float, most: int, generator: torch.Generator) -> Trial:
    """The protocol of `factorization_lowest_rank`: three entries of a 3 x 3 matrix.

    The excess grows as the start vanishes, to that of the completion of rank one.
    """
    trial = complete(smallest, most, generator)
    return Trial(trial["excess of the nuclear norm"][-1], last(trial), (figure(trial),))
