"""What flipped labels cost a nearest-neighbor lookup, exactly."""

from math import sqrt
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from scipy.stats import binom
from torch import Tensor

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.worlds import pieces
from offmap.numerics.neighbors import search


class Case(NamedTuple):
    """How many classes and neighbors, and whether test labels are flipped as train labels are."""

    classes: int
    k: int
    noisy_test: bool

    @property
    def name(self) -> str:
        """In words."""
        test = "flipped" if self.noisy_test else "clean"
        return f"{self.classes} classes, k = {self.k}, {test} test labels"


CASES = (Case(2, 1, True), Case(2, 1, False), Case(2, 5, False), Case(10, 1, True))


@claim(
    says="If a share p of the labels is flipped, a nearest neighbor errs on a share 2p(1-p) of two "
    "separate classes, 1 - (1-p)^2 - p^2/(K-1) of K, p where test labels are clean; a vote of k "
    "errs where more than half of k are flipped.",
    effect="largest distance between an error rate and its law, in standard errors",
    below=4.0,
    scales={
        "smoke": {"n": 1000, "noises": (0.1, 0.2, 0.3)},
        "desk": {"n": 10000, "noises": (0.05, 0.1, 0.2, 0.3, 0.4)},
        "full": {"n": 200000, "noises": (0.05, 0.1, 0.2, 0.3, 0.4)},
    },
    seconds={"smoke": 0.05, "desk": 2.0, "full": 40.0},
    paper=Paper("Cover & Hart 1967", "https://doi.org/10.1109/TIT.1967.1053964"),
)
def nearest_label_noise(*, n: int, noises: tuple[float, ...], generator: torch.Generator) -> Trial:
    """Classes are unit disks one apart, so that without flips no neighbor is ever wrong.

    Labels of train, and where said of test, are flipped independently, to any other class alike.
    Only queries whose neighborhoods share no point are kept, which flips do not decide: their
    errors are independent, and the standard error is that of a binomial.
    """
    parts, series, deviations = {}, {}, []
    for case in CASES:
        bank, queries = (pieces(n, 2, case.classes, generator=generator) for _ in range(2))
        index = search(queries.points, bank.points, k=case.k).index
        rows = apart(index)
        index, truth = index[rows], queries.piece[rows]
        parts[f"errors without flips, {case.name}"] = (
            (bank.piece[index] != truth[:, None]).double().mean().item()
        )
        rates = []
        for p in noises:
            votes = flipped(bank.piece, case.classes, p, generator)[index].mode(dim=1).values
            asked = flipped(truth, case.classes, p if case.noisy_test else 0, generator)
            rates.append((votes != asked).double().mean().item())
            law = price(p, case)
            deviations.append(abs(rates[-1] - law) / sqrt(law * (1 - law) / len(rows)))
        series[case.name] = torch.tensor(rates).double()
        series[f"law: {case.name}"] = torch.tensor([price(p, case) for p in noises]).double()
        parts[f"{case.name}, p = {noises[1]}"] = rates[1]
    figure = Curve(
        "The price of flipped labels", "share of flipped labels", "error",
        torch.tensor(noises).double(), series,
    )  # fmt: skip
    return Trial(max(deviations), parts, (figure,))


def price(p: float, case: Case) -> float:
    """The error that flips cost: of one neighbor, or (two classes, clean test) of a vote."""
    if case.noisy_test:
        return 1 - (1 - p) ** 2 - p**2 / (case.classes - 1)
    return float(binom.sf(case.k // 2, case.k, p))


def flipped(
    labels: Int[Tensor, " n"], classes: int, p: float, generator: torch.Generator
) -> Int[Tensor, " n"]:
    """Labels of which a share p is replaced by another class, any of them alike."""
    turn = torch.randint(1, classes, labels.shape, generator=generator)
    chosen: Bool[Tensor, " n"] = torch.rand(labels.shape, generator=generator) < p
    return torch.where(chosen, (labels + turn) % classes, labels)


def apart(index: Int[Tensor, "m k"]) -> Int[Tensor, " kept"]:
    """Queries, first come first served, whose neighbors no query before them has."""
    used: set[int] = set()
    kept = []
    for row, mine in enumerate(index.tolist()):
        if used.isdisjoint(mine):
            used.update(mine)
            kept.append(row)
    return torch.tensor(kept)
