"""N hinges approximate a smooth function on an interval, to within a bound."""

import torch

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.symbolic.hinges import bound, interpolant, largest_error, sine, wave

PIECES = (4, 8, 16, 32, 64, 128)


@claim(
    says="A ReLU network with N hidden units can be written down whose error, on an interval of "
    "length L, is nowhere more than (L / N)^2 / 8 times the largest second derivative.",
    effect="Largest error / that bound; the largest over N from 4 to 128 and over random waves.",
    below=1 + 1e-9,
    scales={
        "smoke": {"waves": 3, "frequencies": 4},
        "desk": {"waves": 100, "frequencies": 8},
        "full": {"waves": 1000, "frequencies": 8},
    },
    seconds={"smoke": 0.06, "desk": 0.93, "full": 20},
    paper=Paper(
        "Yarotsky 2017, Error bounds for approximations with deep ReLU networks",
        "https://arxiv.org/abs/1610.01145",
    ),
)
def uat_constructive(*, waves: int, frequencies: int, generator: torch.Generator) -> Trial:
    r"""The network draws the straight lines between N + 1 points of the target, a hinge for each.

    .. math:: \sup |f - f_N| \le \frac{(L / N)^2}{8} \sup |f''|

    Targets are sums of sines with random amplitudes and phases, and the sine, whose errors are
    among the parts; all in float64. Nothing is said of points outside: `uat_everywhere`. That a
    network exists does not say that training finds it: `uat_training`.

    Args:
        waves: Random targets.
        frequencies: Sines in each.
        generator: Source of the targets.
    """
    targets = [sine(), *(wave(frequencies, generator=generator) for _ in range(waves))]
    errors = torch.tensor(
        [[largest_error(interpolant(f, n), f, n) for n in PIECES] for f in targets],
        dtype=torch.double,
    )
    bounds = torch.tensor([[bound(f, n) for n in PIECES] for f in targets], dtype=torch.double)
    figure = Curve(
        "The sine between 0 and 2 pi", "hidden units", "largest error",
        torch.tensor(PIECES, dtype=torch.double),
        {"network": errors[0], "bound": bounds[0]}, log_x=True, log_y=True,
    )  # fmt: skip
    return Trial(
        effect=(errors / bounds).max().item(),
        parts={
            "least error / bound": (errors / bounds).min().item(),
            **{
                f"sine, {n} units": error
                for n, error in zip(PIECES, errors[0].tolist(), strict=True)
            },
        },
        figures=(figure,),
    )
