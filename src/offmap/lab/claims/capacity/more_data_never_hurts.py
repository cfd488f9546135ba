"""The popular belief about data, for fits that are not regularized."""

import torch
from jaxtyping import Float64
from torch import Tensor

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.capacity.double_descent_sample import risks_of_sizes


@claim(
    says="More data never hurts: the risk of the least-norm fit falls with the number of examples.",
    effect="Largest ratio of the mean risk with more examples to that with fewer.",
    below=1.0,
    scales={
        "smoke": {"p": 40, "sizes": (5, 10, 20, 34, 60, 120), "draws": 200, "noise": 0.5},
        "desk": {
            "p": 100, "sizes": (10, 30, 60, 80, 92, 108, 150, 300), "draws": 300, "noise": 0.5,
        },
        "full": {
            "p": 200, "sizes": (20, 60, 120, 160, 180, 192, 208, 300, 600), "draws": 400,
            "noise": 0.5,
        },
    },
    seconds={"smoke": 0.07, "desk": 1, "full": 10},
    paper=Paper("Nakkiran 2019", "https://arxiv.org/abs/1912.07242"),
    corrected="double_descent_sample",
)  # fmt: skip
def more_data_never_hurts(
    *, p: int, sizes: tuple[int, ...], draws: int, noise: float, generator: torch.Generator
) -> Trial:
    """Least-norm fits of a linear truth in p dimensions, as in double_descent_sample.

    Control: the same sizes up to p without noise, where the exact risk is 1 - n / p.
    """
    risks, law = risks_of_sizes(p, sizes, draws, noise, generator)
    few = tuple(size for size in sizes if size < p)  # with more, no noise means no error
    quiet = risks_of_sizes(p, few, draws, 0.0, generator)[0]
    mean = risks.mean(dim=1)
    return Trial(
        effect=worst_rise(mean),
        parts={
            "by the exact law": worst_rise(law),
            "without noise, up to n = p": worst_rise(quiet.mean(dim=1)),
        },
        figures=(
            Curve(
                "More data, more risk", "examples", "mean excess risk",
                torch.tensor(sizes, dtype=torch.double), {"measured": mean, "law": law},
                log_y=True,
            ),
        ),
    )  # fmt: skip


def worst_rise(risks: Float64[Tensor, " sizes"]) -> float:
    """Largest ratio of a later risk to an earlier one."""
    least_before = risks.cummin(dim=0).values[:-1]
    return (risks[1:] / least_before).max().item()
