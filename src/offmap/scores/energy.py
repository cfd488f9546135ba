"""Free energy of the logits."""

from jaxtyping import Float
from torch import Tensor

from offmap.measure import Paper
from offmap.score import score
from offmap.scores.head import free_energy, raw_logits


@score(
    fit=raw_logits,
    says="How little evidence the logits hold for any class: minus their log-sum-exp.",
    caution=(
        "Networks with piecewise-linear layers grow surer the farther an input lies from all data, "
        "and energy with them: far away it calls everything familiar."
    ),
    paper=Paper(
        "Liu, Wang, Owens and Li (2020), Energy-based out-of-distribution detection",
        "https://arxiv.org/abs/2010.03759",
    ),
)
def energy(logits: Float[Tensor, "n c"], /) -> Float[Tensor, " n"]:
    """Minus the log-sum-exp of the logits, in nats."""
    return free_energy(logits)
