"""Several scores as one: how unlikely they find an input together."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from offmap.score import Seen

LEVELS = 64  # points at which a member's surprise is tabulated, at most
GROUP = 5  # reference rows from one of them to the next, at least: two alone may nearly be tied
CLOSE = 1e-4  # of the spread of the reference: points nearer than this are one
TAIL = 0.1  # share of the reference rows, the strangest, from which the tail is read
LEAST = round(2 / TAIL)  # reference rows


class Ensemble(nn.Module):
    r"""The mean surprise of several scores: `forward(seen) -> [n]`, float64, larger = stranger.

    A score s becomes its surprise :math:`-\log p(s)`, with p the share of reference rows that are
    at least as strange: scores of any unit become comparable, and their sum is Fisher's. Beyond
    the strangest rows p falls exponentially, by their mean excess, so that far strangers are still
    told apart. Below the most familiar row the surprise is that row's: no score can vouch for what
    another finds strange. The p-values need not be valid: the mean is calibrated like any other
    score, on rows that are not the reference.

    Args:
        members: The scores: (seen) -> [n].
        position: Where each member's surprise is tabulated, ascending [members m].
        surprise: Its values there, ascending [members m].
        slope: Its slope from each of these points to the next, and behind the last [members m].

    Source: Fisher (1925), Statistical Methods for Research Workers, section 21.1.
    """

    position: Tensor
    surprise: Tensor
    slope: Tensor

    def __init__(
        self,
        members: Sequence[nn.Module],
        position: Float64[Tensor, "members m"],
        surprise: Float64[Tensor, "members m"],
        slope: Float64[Tensor, "members m"],
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.register_buffer("position", position)
        self.register_buffer("surprise", surprise)
        self.register_buffer("slope", slope)

    def forward(self, seen: Seen) -> Float64[Tensor, " n"]:
        """How strange each row is to all of them together."""
        found = [
            surprise(member(seen), self.position[row], self.surprise[row], self.slope[row])
            for row, member in enumerate(self.members)
        ]
        return torch.stack(found).mean(dim=0)


def ensemble(members: Sequence[nn.Module], reference: Sequence[Float[Tensor, " n"]]) -> Ensemble:
    """The ensemble of fitted scores.

    Args:
        members: The scores: (seen) -> [n].
        reference: What each says of the same rows, on which neither it nor the guard is fitted.

    Raises:
        ValueError: If there are no members, not one reference for each, or too few rows in it; if
            a member says the same of all rows, or what is not finite.
    """
    if not members or len(members) != len(reference):
        raise ValueError(
            f"expected one reference for each of one or more scores, got {len(reference)} "
            f"for {len(members)}"
        )
    tables = [tabulated(values) for values in reference]
    return Ensemble(members, *(torch.stack(column) for column in zip(*tables, strict=True)))


def tabulated(
    reference: Float[Tensor, " n"],
) -> tuple[Float64[Tensor, " m"], Float64[Tensor, " m"], Float64[Tensor, " m"]]:
    """Position, surprise and slope [m] of a score whose values on reference rows these are.

    Raises:
        ValueError: If there are fewer than 20 rows, or they are all equal or not finite.
    """
    values = reference.detach().double().sort().values
    n = len(values)
    if n < LEAST or not bool(values.isfinite().all()) or bool(values[0] == values[-1]):
        raise ValueError(
            f"expected at least {LEAST} finite reference scores that are not all equal, "
            f"got {n} from {values.min().item() if n else '-'} to "
            f"{values.max().item() if n else '-'}"
        )
    tail = max(2, round(TAIL * n))
    last = n - tail  # the tail begins here; so do equal values that reach into it from below
    points = max(2, min(LEVELS, last // GROUP))
    rows = torch.linspace(0, last, points, dtype=torch.double).round().long()
    rows = _apart(values, rows, CLOSE * (values[-1] - values[0]))
    position = values[rows]
    above = n - torch.searchsorted(values, position)  # at least as strange, itself included
    heights = -((above.double() + 1) / (n + 1)).log()
    step = position.diff()
    rise = torch.where(step > 0, heights.diff() / step.clamp_min(1e-300), 0.0)
    excess = (values[last:] - values[last]).mean()
    # a tail of one value has no excess: the spread of all values then sets the scale
    scale = torch.where(excess > 0, excess, values.std())
    slope = torch.cat([rise, 1 / scale[None]])
    return position.to(reference.device), heights.to(reference.device), slope.to(reference.device)


def _apart(values: Tensor, rows: Tensor, least: Tensor) -> Tensor:
    """The rows without those whose value is next to that of the last one kept; the end is kept.

    Between points that rounding alone tells apart the surprise would rise like a cliff. As many
    rows as there were: the last one is repeated.
    """
    kept: list[int] = []
    for row in rows.tolist():
        if not kept or values[row] - values[kept[-1]] >= least:
            kept.append(row)
    kept[-1] = int(rows[-1])
    return torch.tensor(kept + kept[-1:] * (len(rows) - len(kept)))


def surprise(
    score: Float[Tensor, " n"],
    position: Float64[Tensor, " m"],
    heights: Float64[Tensor, " m"],
    slope: Float64[Tensor, " m"],
) -> Float64[Tensor, " n"]:
    """The surprise at each score [n]: linear between the points, flat before the first of them.

    Every operation is one that ONNX has.
    """
    score = score.double().clamp_min(position[0])
    # the last point at or before each value; m is small, and counting exports where searching
    # would not
    here = (score[:, None] >= position[None, :]).sum(dim=1) - 1
    return heights[here] + slope[here] * (score - position[here])
