"""Adversarial examples on the manifold are errors of generalization: they go as test error goes."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

from offmap.figures import Curve
from offmap.lab.claim import Paper, Scale, Trial, claim
from offmap.lab.claims.off_map.subspace import attack, train, world

SCALES: Mapping[Scale, Mapping[str, Any]] = {
    "smoke": {
        "worlds": 3, "subspace": 5, "dimension": 40, "width": 32, "sizes": (40, 160, 640),
        "updates": 150,
    },
    "desk": {
        "worlds": 6, "subspace": 5, "dimension": 50, "width": 64, "sizes": (50, 200, 800, 3200),
        "updates": 600,
    },
    "full": {
        "worlds": 16, "subspace": 10, "dimension": 100, "width": 128,
        "sizes": (100, 400, 1600, 6400, 25600), "updates": 4000,
    },
}  # fmt: skip


@claim(
    says="Over the number of training examples, the rate of adversarial examples within the "
    "manifold goes along with the test error: their correlation is above 0.8.",
    effect="Pearson correlation, over sample sizes, of the mean test error and the mean rate of "
    "test points that an attack within the subspace turns into errors.",
    above=0.8,
    scales=SCALES,
    seconds={"smoke": 0.6, "desk": 5.0, "full": 300.0},
    paper=Paper("Stutz, Hein & Schiele 2019", "https://arxiv.org/abs/1812.00740"),
)
def on_manifold_tracks_test_error(
    *, worlds: int, subspace: int, dimension: int, width: int, sizes: tuple[int, ...], updates: int,
    generator: torch.Generator,
) -> Trial:  # fmt: skip
    """Classes told by a random teacher on a random subspace; networks trained with Adam.

    The manifold is known exactly, and so is the true class of every point of it: an attack of
    radius 0.3 succeeds where the network errs and the true class is still that of the start. Rates
    are of points that are classified rightly. All networks make the same number of updates.
    Comparison: attacks orthogonal to the subspace, where the true class cannot change.
    """
    shape = (worlds, subspace, dimension, width)
    found = rates(shape, sizes, updates, "Adam", generator)
    return Trial(
        effect=pearson(found.test, found.on),
        parts={
            "the same for attacks off the subspace": pearson(found.test, found.off),
            "test error at the largest n / smallest": (found.test[-1] / found.test[0]).item(),
            "rate within the subspace, the same": (found.on[-1] / found.on[0]).item(),
            "rate off the subspace, the same": (found.off[-1] / found.off[0]).item(),
        },
        figures=(
            Curve(
                "Errors and attacks over examples", "training examples", "share of test points",
                torch.tensor(sizes, dtype=torch.double),
                {"test error": found.test, "attack within": found.on, "attack off": found.off},
                log_x=True,
            ),
        ),
    )  # fmt: skip


class Rates(NamedTuple):
    """Means over worlds, for each sample size."""

    test: Float64[Tensor, " sizes"]
    on: Float64[Tensor, " sizes"]
    off: Float64[Tensor, " sizes"]


def rates(
    shape: tuple[int, int, int, int], sizes: Sequence[int], updates: int, optimizer: str,
    generator: torch.Generator,
) -> Rates:  # fmt: skip
    """Test error, and shares of the other test points that attacks on and off the subspace turn.

    Args:
        shape: Number of worlds, dimensions of the subspace and around it, width of the networks.
        sizes: Training examples; one network for each in each world.
        updates: In training.
        optimizer: SGD or Adam.
        generator: Source of it all.
    """
    count, subspace, dimension, width = shape
    places = [world(subspace, dimension, generator) for _ in range(count)] * len(sizes)
    each = [size for size in sizes for _ in range(count)]
    models = train(places, each, width, updates, optimizer, generator)
    rows = []
    for model, place in zip(models, places, strict=True):
        test = place.draw(300, generator).inputs
        with torch.no_grad():
            right = model(test).argmax(dim=1) == place.classes(test)
        turned = (
            attack(model, place, test[right], 0.3, direction)[1]
            for direction in (place.along, place.off)
        )
        rows.append([1 - right.double().mean(), *(met.double().mean() for met in turned)])
    means = torch.tensor(rows, dtype=torch.double).view(len(sizes), count, 3).mean(dim=1)
    return Rates(*means.mT)


def pearson(first: Float64[Tensor, " n"], second: Float64[Tensor, " n"]) -> float:
    """Correlation."""
    return torch.corrcoef(torch.stack([first, second]))[0, 1].item()
