"""An autoencoder of linear layers."""

from collections.abc import Sequence
from math import prod

from jaxtyping import Float
from torch import Tensor, nn


class Autoencoder(nn.Module):
    """Through a narrow code and back; the output has the shape of the input.

    Args:
        shape: Shape of one example.
        code: Numbers in the code.
        hidden: Width of the layer before the code, and of the one after.
    """

    def __init__(self, shape: Sequence[int], code: int = 16, hidden: int = 128) -> None:
        super().__init__()
        size = prod(shape)
        self.encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(size, hidden), nn.ReLU(), nn.Linear(hidden, code)
        )
        self.decoder = nn.Sequential(nn.Linear(code, hidden), nn.ReLU())
        self.head = nn.Linear(hidden, size)

    def forward(self, inputs: Float[Tensor, "n ..."]) -> Float[Tensor, "n ..."]:
        """The reconstruction, shaped like the inputs."""
        return self.head(self.decoder(self.encoder(inputs))).reshape(inputs.shape)
