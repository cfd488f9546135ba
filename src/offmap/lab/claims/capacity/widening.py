"""What claims on width share: one hidden layer on digits, from too narrow to far too wide."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from offmap.figures import Curve
from offmap.lab.claim import Scale
from offmap.lab.claims.capacity.arms import Arm, draw
from offmap.lab.claims.capacity.training import accuracy, adam, train

NARROWEST_FIT = 128  # a width at which a few hundred digits are fitted with ease
SCALES: Mapping[Scale, Mapping[str, Any]] = {
    "smoke": {
        "n": 100, "repeats": 4, "widths": (2, 8, 32, 128, 512), "epochs": 40, "batch_size": 50,
        "rate": 0.01,
    },
    "desk": {
        "n": 300, "repeats": 3, "widths": (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024),
        "epochs": 100, "batch_size": 64, "rate": 2e-3,
    },
    "full": {
        "n": 300, "repeats": 10, "widths": (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096),
        "epochs": 300, "batch_size": 64, "rate": 1e-3,
    },
}  # fmt: skip


class Widths(NamedTuple):
    """Of each width: test error, and accuracy on the labels trained on; means over repeats."""

    error: Float[Tensor, " widths"]
    known: Float[Tensor, " widths"]
    figure: Curve

    def parts(self, widths: Sequence[int]) -> dict[str, float]:
        """Numbers by name."""
        return {
            f"width {width}: {what}": value
            for what, values in (("test error", self.error), ("training accuracy", self.known))
            for width, value in zip(widths, values.tolist(), strict=True)
        }


def widen(
    *, n: int, repeats: int, widths: tuple[int, ...], epochs: int, batch_size: int, rate: float,
    generator: torch.Generator, wrong: float = 0.0,
) -> Widths:  # fmt: skip
    """Train every width on the same digits, without any regularization.

    Args:
        n: Examples.
        repeats: Networks of each width.
        widths: Of the hidden layer.
        epochs: Passes over the examples.
        batch_size: Examples in an update.
        rate: Learning rate of Adam.
        generator: Source of digits, labels, weights and order.
        wrong: Share of the labels that are drawn at random, the same for all widths.
    """
    problem = draw(n, repeats, generator=generator)
    drawn = torch.randint(10, problem.targets.shape, generator=generator)
    turned = torch.rand(problem.targets.shape, generator=generator) < wrong
    problem = problem._replace(targets=drawn.where(turned, problem.targets))
    error, known = [], []
    for width in widths:
        networks = train(
            problem, [Arm()], hidden=(width,), epochs=epochs, batch_size=batch_size,
            rule=adam(rate), generator=generator,
        )  # fmt: skip
        error.append(1 - accuracy(networks, problem).mean().item())
        known.append(networks.hits[-1].mean().item())
    errors, knowns = torch.tensor(error).double(), torch.tensor(known).double()
    lines = {"held-out digits": errors, "labels trained on": 1 - knowns}
    axis = torch.tensor(widths).double()
    figure = Curve("Error by width", "width of the hidden layer", "error", axis, lines, log_x=True)
    return Widths(errors, knowns, figure)
