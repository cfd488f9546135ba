"""A network that normalizes its input first is no surer far out than near."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.off_map.sure_digits import CLASSES, answers, classifiers
from offmap.models.mlp import MLP

SCALES = (10.0, 100.0, 1000.0)


class Normalized(nn.Module):
    """A ReLU network of inputs less their mean and over their deviation.

    Args:
        widths: Of the hidden layers.
    """

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.rest = MLP(64, widths, CLASSES)

    def forward(self, inputs: Float[Tensor, "n d"]) -> Float[Tensor, "n classes"]:
        """Scores."""
        away = inputs - inputs.mean(dim=1, keepdim=True)
        return self.rest(away / away.square().mean(dim=1, keepdim=True).sqrt())


@claim(
    says="A ReLU network that first normalizes each input gives the same probabilities at every "
    "distance along a ray, so certainty far out needs a network that sees the distance.",
    effect="Largest change of a probability when noise is scaled up 10 to 1000 times, over noise "
    "and networks.",
    below=1e-9,
    scales={
        "smoke": {"widths": (64, 64), "epochs": 10, "networks": 3, "rays": 500},
        "desk": {"widths": (128, 128), "epochs": 30, "networks": 5, "rays": 2000},
        "full": {"widths": (128, 128), "epochs": 200, "networks": 10, "rays": 5000},
    },
    seconds={"smoke": 0.5, "desk": 2.1, "full": 40},
    paper=Paper(
        "Ba, Kiros and Hinton 2016, Layer normalization", "https://arxiv.org/abs/1607.06450"
    ),
)
def normalized_far_conf(
    *,
    widths: tuple[int, ...],
    epochs: int,
    networks: int,
    rays: int,
    generator: torch.Generator,
) -> Trial:
    """As `relu_far_conf`, with the mean of the input taken off and its deviation divided by.

    Such a network is constant along rays by construction. It is not unsure there: its confidence
    on noise is among the parts, and need not be low.

    Args:
        widths: Of the hidden layers.
        epochs: Passes over the data.
        networks: Trained at once.
        rays: Through zero and a point of noise each.
        generator: Source of weights and noise.
    """
    known = classifiers(
        widths, epochs, networks, build=lambda: Normalized(widths), generator=generator
    )
    nets = [net.double() for net in known.networks]
    noise = torch.rand(rays, known.test.shape[1], generator=generator, dtype=torch.double)
    near = answers(nets, noise).softmax(dim=2)
    apart = [(answers(nets, a * noise).softmax(dim=2) - near).abs().max().item() for a in SCALES]
    return Trial(
        effect=max(apart),
        parts={"accuracy": known.accuracy, "confidence on noise": near.amax(2).mean().item()},
    )
