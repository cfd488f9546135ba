"""Ways to train that differ in one thing each, and the digits that they are tried on.

An arm is a way to train. All arms of a repeat start from the same weights and see the same
examples in the same order, so that what differs at the end is due to the arm.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from offmap.lab.data import digits

NEVER = 10**9
CLASSES = 10


@dataclass(frozen=True, slots=True)
class Arm:
    """A way to train: plain, but for what is named here.

    Args:
        decay: Penalty on half the square of each weight and bias.
        dropout: Share of the hidden activations that is dropped at each step.
        input_noise: Standard deviation of Gaussian noise on the pixels.
        activation_noise: Of Gaussian noise on the hidden activations.
        weight_noise: Of Gaussian noise by which weights are multiplied, drawn for each example.
        shift: Share of a pixel by which pictures are moved, in one of eight directions or none;
            below one by mixing the picture and the moved one.
        stop: Epoch after which the weights stay as they are.
        pace: Learning rate, as a multiple of the others'.
        init: Size of the initial weights, as a multiple of the others'.
        frozen: Whether the first layer stays as it is.
        flips: Share of the numbers of the gradient whose sign is turned.
        random_targets: Share of the targets that are replaced, once, by ones drawn at random.
    """

    decay: float = 0.0
    dropout: float = 0.0
    input_noise: float = 0.0
    activation_noise: float = 0.0
    weight_noise: float = 0.0
    shift: float = 0.0
    stop: int = NEVER
    pace: float = 1.0
    init: float = 1.0
    frozen: bool = False
    flips: float = 0.0
    random_targets: float = 0.0


class Problem(NamedTuple):
    """Examples to train on, for each repeat, and examples to test on."""

    inputs: Float[Tensor, "r n d"]
    targets: Int[Tensor, "r n"]
    test_inputs: Float[Tensor, "t d"]
    test_targets: Int[Tensor, " t"]


def draw(n: int, repeats: int, *, generator: torch.Generator) -> Problem:
    """So many of scikit-learn's digits, for each repeat drawn anew, and all that are held out."""
    images = digits()
    orders = [torch.randperm(len(images.inputs), generator=generator) for _ in range(repeats)]
    rows = torch.stack(orders)[:, :n]
    return Problem(
        images.inputs.flatten(1)[rows], images.targets[rows],
        images.test_inputs.flatten(1), images.test_targets,
    )  # fmt: skip
