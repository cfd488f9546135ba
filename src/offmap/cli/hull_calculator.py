"""`offmap hull-calculator`: how many samples before interpolation is even possible."""

import math
from typing import TYPE_CHECKING, Annotated

import typer

from offmap.attempt import InputError

if TYPE_CHECKING:
    from rich.table import Table

SHARES = (0.1, 0.5, 0.9)  # where no probability is asked for
ASSUMES = (
    "Assumes independent Gaussian samples and a fresh point of the same law; exact (Kabluchko and "
    "Zaporozhets 2020), and the same for any ellipsoid or flat of that dimension. Bounded or "
    "clustered data need more samples, heavy tails fewer; on a sphere or at the corners of a cube "
    "a new point is never inside. Being outside is no error by itself."
)


def hull_calculator(
    dimension: Annotated[int, typer.Option(help="Of the data: what it really varies in.")],
    probability: Annotated[
        float | None,
        typer.Option(help="Chance that a fresh point is inside [default: 0.1, 0.5 and 0.9]."),
    ] = None,
    samples: Annotated[
        int | None, typer.Option(help="Say the chance with this many samples instead.")
    ] = None,
) -> None:
    """Say how many samples it takes until a fresh one lies in the convex hull of the others.

    Without --probability and --samples: until it does so in 10, 50 and 90 % of cases.
    \f

    Raises:
        InputError: If a number is out of range.
    """  # noqa: D301 - typer ends the help at the form feed
    from rich.console import Console

    if not 1 <= dimension <= 1000:
        raise InputError(f"expected --dimension from 1 to 1000, got {dimension}")
    if probability is not None and not 1e-9 <= probability <= 1 - 1e-9:
        raise InputError(f"expected --probability between 0 and 1, got {probability:g}")
    if samples is not None and not 1 <= samples <= 1e300:
        raise InputError(f"expected --samples of 1 or more, got {samples}")
    if samples is None:
        shares = SHARES if probability is None else (probability,)
    else:
        shares = () if probability is None else (probability,)
    console = Console()
    space = "1 dimension" if dimension == 1 else f"{dimension} dimensions"
    console.print(f"Is a fresh point inside the convex hull of the samples, in {space}?\n")
    console.print(_table(dimension, shares, samples))
    console.print(f"\n{ASSUMES}", highlight=False)


def _table(dimension: int, shares: tuple[float, ...], samples: int | None) -> "Table":
    """Chance by number of samples, both ways."""
    from rich.table import Table

    from offmap.numerics.hull.gaussian import inside_probability, samples_needed

    table = Table(box=None, pad_edge=False)
    for name in ("samples", "chance that it is inside"):
        table.add_column(name, justify="right")
    rows = [(samples_needed(dimension, share), share) for share in shares]
    if samples is not None:
        rows.append((samples, inside_probability(samples, dimension)))
    for count, share in sorted(rows):
        vanishing = share == 0 and count > dimension  # not representable, not impossible
        table.add_row(_number(count), "below 1e-300" if vanishing else _percent(share))
    return table


def _number(count: int) -> str:
    """Whole while that can be read, four digits beyond."""
    return f"{count:,}" if count < 10**12 else f"{count:.3e}"


def _percent(share: float) -> str:
    """Three digits; near certainty, as many as tell it from 100."""
    if not 0.99 < share < 1:
        return f"{100 * share:.3g} %"
    return f"{100 * share:.{math.ceil(-math.log10(1 - share)) - 1}f} %"
