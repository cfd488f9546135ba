"""The popular belief about data, for fits that are not regularized."""

import torch

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.capacity.double_descent_sample import risks_of_sizes


@claim(
    says="More data never hurts: the risk of the least-norm fit falls with the number of examples.",
    effect="Largest risk with more examples over risk with fewer, of all pairs of sample sizes.",
    below=1.0,
    scales={
        "smoke": {"p": 20, "sizes": (2, 5, 10, 30, 80), "draws": 300, "noise": 0.5},
        "desk": {"p": 100, "sizes": (10, 30, 60, 80, 90, 110, 150, 300), "draws": 300,
                 "noise": 0.5},
        "full": {"p": 200, "sizes": (20, 60, 120, 160, 180, 190, 210, 300, 600), "draws": 1000,
                 "noise": 0.5},
    },
    seconds={"smoke": 0.05, "desk": 2.0, "full": 40.0},
    paper=Paper("Nakkiran 2019", "https://arxiv.org/abs/1912.07242"),
    corrected="double_descent_sample_ridge",
)  # fmt: skip
def more_data_never_hurts(
    *, p: int, sizes: tuple[int, ...], draws: int, noise: float, generator: torch.Generator
) -> Trial:
    """Least-norm fits of a linear truth in p dimensions, as in double_descent_sample.

    Control: the same without noise, where the risk is 1 - n / p and more data do help.
    """
    noisy, law = (rows.mT for rows in risks_of_sizes(p, sizes, draws, noise, generator))
    quiet = risks_of_sizes(p, sizes, draws, 0.0, generator)[0].mT.mean(dim=0)
    noisy = noisy.mean(dim=0)
    return Trial(
        effect=worst_rise(noisy),
        parts={"by the exact law": worst_rise(law), "without noise": worst_rise(quiet)},
    )
