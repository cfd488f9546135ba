r"""What continuity says of an input near an example that is known.

Let a network f and a target g change no faster than L_f and L_g. At a distance :math:`\rho` from
an example x_i they differ by at most :math:`|f - g|(x_i) + (L_f + L_g) \rho`, and no less can be
said: f = L_f dist(., S) and g = -L_g dist(., S), which agree on the examples S, attain it.

For classes the network cannot change its mind before the margin of the example is used up, and the
target cannot within the radius in which it is known to be constant.
"""

import math

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

__all__ = ["cell_excess", "cell_samples", "error_bound", "margin_radius"]


def margin_radius(
    logits: Float[Tensor, "n c"], labels: Int[Tensor, " n"], bounds: Float64[Tensor, "c c"]
) -> Float64[Tensor, " n"]:
    """How far from each example the network cannot predict another class than `labels`.

    Args:
        logits: Scores of the classes.
        labels: The class that is right; where the network says another, the radius is negative.
        bounds: Upper bounds on the Lipschitz constants of f_i - f_j. Where one is zero, the
            difference is the same everywhere and the radius is infinite.

    Raises:
        ValueError: If a bound between two classes is negative or no number.
    """
    apart = ~torch.eye(len(bounds), dtype=torch.bool)
    if not bool((bounds[apart] >= 0).all()):
        raise ValueError("expected bounds >= 0 between any two classes")
    scores = logits.detach().cpu().double()
    labels = labels.cpu().long()
    margins = scores.gather(1, labels[:, None]) - scores
    radius = margins / bounds.cpu()[labels]
    radius[margins == 0] = 0.0  # a tie: whatever the bound
    return radius.scatter_(1, labels[:, None], torch.inf).amin(dim=1)


def error_bound(
    distance: Float64[Tensor, "m k"], error: Float64[Tensor, "m k"], rate: float
) -> Float64[Tensor, " m"]:
    """The least that |f - g| can be said to be bounded by, over k examples near each input.

    Args:
        distance: From each input to its examples.
        error: |f - g| at these examples.
        rate: L_f + L_g.

    Raises:
        ValueError: If the rate is negative or not finite.
    """
    if not 0 <= rate < torch.inf:
        raise ValueError(f"expected 0 <= rate < infinity, got {rate}")
    return (error + rate * distance).amin(dim=1)


def cell_excess(log10_cells: float, n: int, *, risk: float = 0.05) -> float:
    """Most by which the expected loss exceeds that of n examples, with probability 1 - risk.

    Of any loss in [0, 1] that is the same throughout each of K cells, chosen before the examples
    were seen: sqrt((2 K ln 2 + 2 ln(1 / risk)) / n), Xu and Mannor 2012. At 1 it says nothing.

    Args:
        log10_cells: log10 K.
        n: Examples.
        risk: That it does not hold.

    Raises:
        ValueError: If there are no examples or no cells, or the risk is no probability.
    """
    if n < 1:
        raise ValueError(f"expected n >= 1, got {n}")
    return 10 ** min(0.0, (cell_samples(log10_cells, 1.0, risk=risk) - math.log10(n)) / 2)


def cell_samples(log10_cells: float, excess: float, *, risk: float = 0.05) -> float:
    """log10 of the examples for which `cell_excess` is a given number.

    Args:
        log10_cells: log10 K.
        excess: Wanted, at most 1.
        risk: That it does not hold.

    Raises:
        ValueError: If there are no cells, or excess or risk is not in (0, 1].
    """
    if not (0 <= log10_cells < math.inf and 0 < excess <= 1 and 0 < risk <= 1):
        raise ValueError(
            "expected log10_cells >= 0, and excess and risk in (0, 1], "
            f"got {log10_cells}, {excess} and {risk}"
        )
    # 2 ln(1 / risk) beside 2 K ln 2, without K, which no float may hold
    rest = math.log1p(-math.log(risk) / math.log(2) * 10**-log10_cells) / math.log(10)
    return log10_cells + math.log10(2 * math.log(2)) + rest - 2 * math.log10(excess)
