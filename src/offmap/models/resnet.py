"""A small residual network (He et al. 2016, https://arxiv.org/abs/1512.03385, section 4.2)."""

from jaxtyping import Float
from torch import Tensor, nn


class Block(nn.Module):
    """Two convolutions, and the way around them."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.around: nn.Module = nn.Identity()
        if stride != 1 or before != after:
            self.around = nn.Sequential(
                nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)
            )

    def forward(self, inputs: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d i j"]:
        """Maps [n, after, h / stride, w / stride]."""
        return (self.body(inputs) + self.around(inputs)).relu()


class ResNet(nn.Module):
    """Three stages of residual blocks for 32x32 images, with 6 `blocks` + 2 layers of weights.

    Args:
        channels: Channels of an image.
        classes: Number of classes.
        width: Channels of the first stage; they double twice.
        blocks: Blocks in a stage.
    """

    def __init__(
        self, channels: int = 3, classes: int = 10, width: int = 16, blocks: int = 1
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        stages: list[nn.Module] = []
        before = width
        for stage in range(3):
            for block in range(blocks):
                stride = 2 if stage and not block else 1
                stages.append(Block(before, width << stage, stride))
                before = width << stage
        self.body = nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(before, classes)

    def forward(self, inputs: Float[Tensor, "n channels h w"]) -> Float[Tensor, "n classes"]:
        """Logits [n, classes]."""
        return self.head(self.body(self.stem(inputs)))
