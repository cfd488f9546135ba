"""Printed numbers, said to be one-dimensional data in millions of pixels."""

import torch

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.worlds import blobs, printed_digits


@claim(
    says="Pictures of printed numbers are a curve: numbers that follow one another look alike, "
    "ever more so the more digits are printed.",
    effect="mean distance of pictures of successive numbers over that of any two, most digits",
    below=0.05,
    scales={
        "smoke": {"places": (1, 2, 3, 4), "pairs": 2000},
        "desk": {"places": (1, 2, 3, 4, 5, 6, 8), "pairs": 20000},
        "full": {"places": (1, 2, 3, 4, 5, 6, 8, 10, 12), "pairs": 100000},
    },
    seconds={"smoke": 0.05, "desk": 1.0, "full": 10.0},
    paper=Paper("Facco et al. 2017", "https://doi.org/10.1038/s41598-017-11873-y"),
    corrected="printed_numbers_are_points",
)
def printed_numbers_are_a_curve(
    *, places: tuple[int, ...], pairs: int, generator: torch.Generator
) -> Trial:
    """Numbers of m digits in a font of 5 x 7 dots: distance to the next number, and to any other.

    Of a curve that is walked in 10^m equal steps, a step becomes a vanishing share of the mean
    distance. Of printed numbers nine steps in ten turn one digit of m, so the share falls as
    1 / sqrt(m) at most. The control moves a soft dot by a share 10^-m of its way.
    """
    ratios, controls = [], []
    for m in places:
        number = torch.randint(10**m - 1, (pairs,), generator=generator)
        other = torch.randint(10**m, (pairs,), generator=generator)
        here, after, any_other = (printed_digits(x, m) for x in (number, number + 1, other))
        step = (here - after).flatten(1).norm(dim=1).mean()
        ratios.append((step / (here - any_other).flatten(1).norm(dim=1).mean()).item())
        few = slice(min(pairs, 500))
        dots = [blobs(x[few] / 10**m, 32).flatten(1) for x in (number, number + 1, other)]
        walk = (dots[0] - dots[1]).norm(dim=1).mean()
        controls.append((walk / (dots[0] - dots[2]).norm(dim=1).mean()).item())
    parts = {f"{m} digits": ratio for m, ratio in zip(places, ratios, strict=True)}
    parts["moving dot, most digits"] = controls[-1]
    figure = Curve(
        "One step over a mean distance", "digits", "share of the mean distance",
        torch.tensor(places).double(),
        {"printed": torch.tensor(ratios).double(), "moving dot": torch.tensor(controls).double()},
        log_y=True,
    )  # fmt: skip
    return Trial(ratios[-1], parts, (figure,))
