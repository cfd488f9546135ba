"""The popular lesson of double descent, which depends on the order that features come in."""

import torch

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.capacity.double_descent_width import even, risks_of_widths


@claim(
    says="Past the peak, a model that is wide enough has a lower test risk than every narrow one.",
    effect="Least risk of the models wider than n over least risk of those narrower, with features "
    "taken in the order of their importance.",
    below=1.0,
    scales={
        "smoke": {"n": 20, "widths": (1, 3, 6, 10, 30, 60, 120), "draws": 150, "noise": 0.5},
        "desk": {
            "n": 40, "widths": (1, 2, 3, 5, 8, 12, 20, 30, 50, 60, 80, 120, 200, 400),
            "draws": 600, "noise": 0.5,
        },
        "full": {
            "n": 100, "widths": (1, 2, 3, 5, 8, 12, 20, 40, 60, 80, 90, 110, 150, 300, 600, 1000),
            "draws": 400, "noise": 0.5,
        },
    },
    seconds={"smoke": 0.1, "desk": 6, "full": 30},
    paper=Paper("Belkin, Hsu & Xu 2020", "https://arxiv.org/abs/1903.07571"),
    corrected="double_descent_width",
)  # fmt: skip
def wider_wins(
    *, n: int, widths: tuple[int, ...], draws: int, noise: float, generator: torch.Generator
) -> Trial:
    r"""Least-norm fits as in double_descent_width, but the truth is not spread evenly.

    Coordinate j has the weight 1 / j (then scaled to norm one), and features are used in that
    order, as an engineer would who knows what matters. Control: the same models where all
    features matter alike, which is what features drawn at random do; there the wide end wins.
    """
    dimension = widths[-1]
    falling = 1 / torch.arange(1, dimension + 1, dtype=torch.double)
    middle = sum(width < n for width in widths)
    series, shares = {}, {}
    for name, truth in (("by importance", falling / falling.norm()), ("alike", even(dimension))):
        risks, law = risks_of_widths(n, widths, truth, draws, noise, generator)
        mean = risks.mean(dim=1)
        series |= {name: mean, f"{name}, law": law}
        shares[name] = (mean[middle:].min() / mean[:middle].min()).item()
        shares[f"{name}, law"] = (law[middle:].min() / law[:middle].min()).item()
    return Trial(
        effect=shares["by importance"],
        parts={
            "by the exact law": shares["by importance, law"],
            "with features that matter alike": shares["alike"],
            "the same by the exact law": shares["alike, law"],
        },
        figures=(
            Curve(
                "Whether the second valley is the deeper one", "features used", "mean test risk",
                torch.tensor(widths, dtype=torch.double), series, log_x=True, log_y=True,
            ),
        ),
    )  # fmt: skip
