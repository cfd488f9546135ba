"""A multilayer perceptron."""

from collections.abc import Sequence
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn


class MLP(nn.Module):
    """Linear layers with ReLU between them. Images are flattened.

    Args:
        inputs: Numbers in an example.
        hidden: Width of each hidden layer; none makes a linear model.
        outputs: Numbers in an answer.
    """

    def __init__(self, inputs: int, hidden: Sequence[int] = (128, 128), outputs: int = 10) -> None:
        super().__init__()
        widths = (inputs, *hidden)
        layers: list[nn.Module] = [nn.Flatten()]
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(widths[-1], outputs)

    def forward(self, inputs: Float[Tensor, "n ..."]) -> Float[Tensor, "n outputs"]:
        """Scores [n, outputs]."""
        return self.head(self.body(inputs))
