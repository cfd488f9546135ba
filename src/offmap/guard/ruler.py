"""A score beside its calibration: how strange an input is as a p-value."""

from jaxtyping import Float64, Int
from torch import Tensor, nn

from offmap.numerics.corners import pieces, placed
from offmap.score import Seen


class Ruler(nn.Module):
    """A score with the calibration that turns it into p-values.

    Args:
        score: The fitted score, or an ensemble: (seen) -> [n].
        position: Knots of the p-value for each group [g m]; one row: the same for all.
        level: Its values there.
        rate: Inputs with a p-value up to it are refused.
    """

    position: Tensor
    level: Tensor
    pieces: Tensor

    def __init__(
        self,
        score: nn.Module,
        position: Float64[Tensor, "g m"],
        level: Float64[Tensor, "g m"],
        rate: float,
    ) -> None:
        super().__init__()
        self.score, self.rate = score, rate
        self.register_buffer("position", position)
        self.register_buffer("level", level)
        self._join()
        self.register_load_state_dict_post_hook(lambda module, _: module._join())

    def _join(self) -> None:
        """Find what every p-value needs: the lines between the knots."""
        self.register_buffer("pieces", pieces(self.position, self.level), persistent=False)

    def forward(
        self, seen: Seen, group: Int[Tensor, " n"] | None
    ) -> tuple[Float64[Tensor, " n"], Float64[Tensor, " n"]]:
        """Score and p-value of each row; `group` [n] is its predicted class."""
        score = self.score(seen)
        group = None if len(self.position) == 1 else group
        return score, placed(score, self.position, self.pieces, group)
