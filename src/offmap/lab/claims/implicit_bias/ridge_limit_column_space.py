"""The popular form: ridge with a vanishing penalty projects on the column space."""

import torch

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.implicit_bias.ridge_limit_row_space import deficient, outside, ridge


@claim(
    says="As its penalty goes to zero, ridge ends in the column space of X.",
    effect="share of the norm of the coefficients that is outside the column space, penalty 1e-4",
    below=1e-6,
    scales={
        "smoke": {"size": 30, "rank": 12},
        "desk": {"size": 200, "rank": 80},
        "full": {"size": 1000, "rank": 400},
    },
    seconds={"smoke": 0.02, "desk": 0.1, "full": 5.0},
    paper=Paper("Hoerl and Kennard 1970", "https://doi.org/10.1080/00401706.1970.10488634"),
    corrected="ridge_limit_row_space",
)
def ridge_limit_column_space(*, size: int, rank: int, generator: torch.Generator) -> Trial:
    """A square X of deficient rank: only there do the coefficients fit into the column space.

    A vector of random direction has a share sqrt(1 - rank/size) of its norm outside.
    """
    x, y = deficient(size, rank, generator)
    penalties = torch.logspace(1, -4, 11, dtype=torch.double)
    path = [ridge(x, y, penalty) for penalty in penalties.tolist()]
    columns = torch.tensor([outside(b, x) for b in path], dtype=torch.double)
    rows = torch.tensor([outside(b, x.T) for b in path], dtype=torch.double)
    return Trial(
        effect=columns[-1].item(),
        parts={
            "outside the row space": rows[-1].item(),
            "outside the column space at random": (1 - rank / size) ** 0.5,
            "fitted values outside the column space": outside(x @ path[-1], x),
        },
        figures=(
            Curve(
                "Where ridge ends",
                "penalty",
                "share of the coefficients outside",
                penalties,
                {"the column space": columns, "the row space": rows},
                log_x=True,
            ),
        ),
    )
