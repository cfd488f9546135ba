"""Gauss finds a parity from a few examples more than there are places."""

from math import prod, sqrt

import torch

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.symbolic.parities import eliminated


@claim(
    says="Elimination by Gauss finds the parity behind m random strings of n places with the "
    "probability (1 - 2^-m)(1 - 2^(1-m)) ... (1 - 2^(n-1-m)): 29 % at m = n, 99.9 % at m = n + 10.",
    effect="Share of random parities of 20 places that are found, less that law, in standard "
    "errors; the largest over m = n, n + 1, n + 2 and n + 4.",
    below=4.0,
    scales={
        "smoke": {"places": 20, "problems": 1000},
        "desk": {"places": 20, "problems": 50_000},
        "full": {"places": 20, "problems": 200_000},
    },
    seconds={"smoke": 0.1, "desk": 7.1, "full": 20},
    paper=Paper(
        "Shalev-Shwartz, Shamir and Shammah 2017, Failures of gradient-based deep learning",
        "https://arxiv.org/abs/1703.07950",
    ),
)
def parity_elimination(*, places: int, problems: int, generator: torch.Generator) -> Trial:
    r"""What is solved is what has one solution: the strings span all of GF(2)^n.

    .. math:: P = \prod_{i=0}^{n-1} (1 - 2^{i-m})

    as the i-th of n independent columns must miss the span of those before it. The set behind the
    answers is drawn anew for each problem, and a problem counts where it is the only solution that
    elimination finds. With m = n + 10, among the parts, hardly any is left: 30 strings of 20
    places do what 1,024 do not for a network (`parity`).

    Args:
        places: Of the strings.
        problems: For each number of strings.
        generator: Source of strings and sets.
    """
    extra = (0, 1, 2, 4, 10)
    shares = {more: _solved(places, places + more, problems, generator) for more in extra}
    laws = {more: prod(1 - 2.0 ** (i - places - more) for i in range(places)) for more in extra}
    off = [
        abs(shares[more] - laws[more]) / sqrt(laws[more] * (1 - laws[more]) / problems)
        for more in extra[:-1]
    ]
    figure = Curve(
        "Parities that elimination finds", "strings more than places", "share",
        torch.tensor(extra, dtype=torch.double),
        {
            name: torch.tensor(list(row.values()), dtype=torch.double)
            for name, row in (("found", shares), ("law", laws))
        },
    )  # fmt: skip
    return Trial(
        effect=max(off),
        parts={f"share found at n + {more}": share for more, share in shares.items()},
        figures=(figure,),
    )


def _solved(places: int, count: int, problems: int, generator: torch.Generator) -> float:
    """Share of random problems in which the set is found, and found to be the only one."""
    strings = torch.randint(2, (problems, count, places), generator=generator)
    wanted = torch.randint(2, (problems, places), generator=generator)
    answers = (strings * wanted[:, None]).sum(dim=2) % 2
    found, unique = eliminated(strings, answers)
    return (unique & (found == wanted).all(dim=1)).double().mean().item()
