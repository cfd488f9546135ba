"""Random projections that keep distances cannot lower the dimension of a hull."""

from math import log

import torch

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.numerics.hull import samples_needed

DISTORTIONS = (0.1, 0.3, 0.5, 0.7, 0.9, 0.99)


@claim(
    says="With as many Gaussian points as an even chance of being inside takes, the dimension that "
    "Johnson and Lindenstrauss guarantee to keep distances exceeds the dimension there was.",
    effect="The dimension guaranteed over the dimension of the points; the smallest over "
    "dimensions and over distortions up to 0.99",
    above=1.0,
    scales={
        "smoke": {"dimensions": (2, 5, 10, 20, 50, 100)},
        "desk": {"dimensions": (2, 5, 10, 20, 50, 100, 200)},
        "full": {"dimensions": (2, 5, 10, 20, 50, 100, 200, 500)},
    },
    seconds={"smoke": 0.05, "desk": 0.2, "full": 2.0},
    paper=Paper("Balestriero, Pesenti & LeCun 2021", "https://arxiv.org/abs/2110.09485"),
)
def johnson_lindenstrauss_hull(*, dimensions: tuple[int, ...], generator: torch.Generator) -> Trial:
    r"""The lemma keeps squared distances of N points up to a distortion e in k dimensions.

    .. math:: k \ge 24 \log N / (3 e^2 - 2 e^3)

    N = N(d), an even chance of being inside by the exact law, grows like exp(d / 2): in the limit
    k / d is at least 12 / (3 e^2 - 2 e^3), which is more than 12. Nothing is drawn. The lemma is
    sufficient and not necessary: this says that it is no way out, not that there is none.
    """
    ratios = {e: [guaranteed(samples_needed(d), e) / d for d in dimensions] for e in DISTORTIONS}
    return Trial(
        min(min(some) for some in ratios.values()),
        {f"distortion {e}: the smallest ratio": min(some) for e, some in ratios.items()},
        (
            Curve(
                "Dimension that random projections need", "dimension of the points",
                "dimension guaranteed, over that of the points",
                torch.tensor(dimensions, dtype=torch.double),
                {f"distortion {e}": torch.tensor(some) for e, some in ratios.items()},
                log_x=True, log_y=True,
            ),
        ),
    )  # fmt: skip


def guaranteed(count: int, distortion: float) -> float:
    """Dimensions in which so many points keep their squared distances to this relative error."""
    return 24 * log(count) / (3 * distortion**2 - 2 * distortion**3)
