"""A small convolutional network."""

from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

SMALLEST = 7  # pixels: the map is halved as long as it stays above half of this


class CNN(nn.Module):
    """Three convolutions with batch normalization, global average pooling, and a linear head.

    The map is halved before the second and the third convolution, for 8x8 inputs only once.

    Args:
        channels: Channels of an image.
        classes: Number of classes.
        width: Channels after the first convolution; they double twice.
        size: Pixels along a side.
    """

    def __init__(
        self, channels: int = 1, classes: int = 10, width: int = 16, size: int = 28
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        widths = (channels, width, 2 * width, 4 * width)
        for depth, (before, after) in enumerate(pairwise(widths)):
            if depth and size >= SMALLEST:
                layers.append(nn.MaxPool2d(2))
                size //= 2
            layers += [
                nn.Conv2d(before, after, 3, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
            ]
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, inputs: Float[Tensor, "n channels h w"]) -> Float[Tensor, "n classes"]:
        """Logits [n, classes]."""
        return self.head(self.body(inputs))
