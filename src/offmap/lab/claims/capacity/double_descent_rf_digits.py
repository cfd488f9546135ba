"""Double descent on real data: random ReLU features of digits, fitted exactly."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from jaxtyping import Float64, Int64
from torch import Tensor
from torch.nn.functional import one_hot

from offmap.figures import Curve
from offmap.lab import data
from offmap.lab.claim import Paper, Scale, Trial, claim
from offmap.lab.claims.capacity.least_squares import normal

PEAK = (0.95, 1.0, 1.05, 1.1)  # widths about n, where the rank of the features reaches n
SMOKE = (0.05, 0.25, 0.5, *PEAK, 2.0, 4.0, 16.0)
DESK = (0.05, 0.125, 0.25, 0.5, 0.75, 0.9, *PEAK, 1.25, 1.5, 2.0, 4.0, 8.0, 16.0)
SCALES: Mapping[Scale, Mapping[str, Any]] = {
    "smoke": {"n": 240, "shares": SMOKE},
    "desk": {"n": 400, "shares": DESK},
    "full": {"n": 1000, "shares": DESK},
}


@claim(
    says="Random ReLU features fitted exactly to n digits, a fifth of them with wrong labels, have "
    "a peak of test error near n features, more than three times the error at n / 4 and at 16 n.",
    effect="Largest test error at 0.95 n to 1.1 n features, over the larger of those at n / 4 and "
    "at 16 n.",
    above=3.0,
    scales=SCALES,
    seconds={"smoke": 0.25, "desk": 1.2, "full": 10},
    paper=Paper("Belkin et al. 2019", "https://arxiv.org/abs/1812.11118"),
)
def double_descent_rf_digits(
    *, n: int, shares: tuple[float, ...], generator: torch.Generator
) -> Trial:
    """Features relu(x W) of standard normal W, least squares of least norm on one-hot labels.

    Features of pixels are not independent: those that no digit makes negative are linear, so their
    rank reaches n a little beyond width n, and that is where the peak stands. A control has the
    right labels for all.
    """
    noisy, clean = (sweep(n, shares, wrong, generator) for wrong in (0.2, 0.0))
    widths = torch.tensor(shares, dtype=torch.double) * n
    full = shares[int((noisy.rank < n).sum())]  # ranks rise with the width
    return Trial(
        effect=height(noisy.error, shares),
        parts={
            "with clean labels": height(clean.error, shares),
            "features at the peak / n": shares[int(noisy.error.argmax())],
            "features at which their rank is n / n": full,
            "error of 16 n features": noisy.error[-1].item(),
        },
        figures=(
            Curve(
                "Test error on digits over width", "random features", "test error",
                widths, {"a fifth of the labels wrong": noisy.error, "clean labels": clean.error},
                log_x=True,
            ),
        ),
    )  # fmt: skip


class Sweep(NamedTuple):
    """What came of each width."""

    error: Float64[Tensor, " widths"]
    rank: Int64[Tensor, " widths"]


def sweep(n: int, shares: tuple[float, ...], wrong: float, generator: torch.Generator) -> Sweep:
    """Test error and rank of the features, for networks of n times the shares many features.

    Args:
        n: Training digits.
        shares: Widths over n.
        wrong: Share of the labels that are replaced by another class.
        generator: Source of rows, labels and features.
    """
    images = data.digits()
    rows = torch.randperm(len(images.targets), generator=generator)[:n]
    x, test = images.inputs[rows].flatten(1).double(), images.test_inputs.flatten(1).double()
    moved = torch.randint(1, 10, (n,), generator=generator)
    moved *= torch.rand(n, generator=generator) < wrong
    labels = one_hot((images.targets[rows] + moved) % 10, 10).double()
    errors, ranks = [], []
    for share in shares:
        weights = normal(x.shape[1], round(share * n), generator=generator)
        # gelsd finds the least norm; its usual cutoff would cut the peak off
        fit = torch.linalg.lstsq((x @ weights).relu(), labels, rcond=1e-10, driver="gelsd")
        answers = ((test @ weights).relu() @ fit.solution).argmax(dim=1)
        errors.append((answers != images.test_targets).double().mean())
        ranks.append(fit.rank)
    return Sweep(torch.stack(errors), torch.stack(ranks).long())


def height(errors: Float64[Tensor, " widths"], shares: tuple[float, ...]) -> float:
    """Largest error about n features over the larger of those at n / 4 and at 16 n."""
    at = dict(zip(shares, errors.tolist(), strict=True))
    return max(at[share] for share in PEAK) / max(at[0.25], at[16.0])
