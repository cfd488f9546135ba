"""How sure a network is of noise."""

import torch

from offmap.estimate import exact
from offmap.figures import Bars
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.off_map.noise_classes import noises
from offmap.lab.claims.off_map.sure_digits import answers, classifiers


@claim(
    says="Networks of digits are between 80 and 95 % sure of the class of uniform noise.",
    effect="Mean largest softmax probability on uniform noise, over noise and networks.",
    above=0.8,
    below=0.95,
    scales={
        "smoke": {"widths": (64, 64), "epochs": 20, "networks": 2, "images": 500},
        "desk": {"widths": (128, 128), "epochs": 30, "networks": 10, "images": 2000},
        "full": {"widths": (128, 128), "epochs": 200, "networks": 20, "images": 5000},
    },
    seconds={"smoke": 0.85, "desk": 3.2, "full": 60},
    paper=Paper(
        "Hein, Andriushchenko and Bitterwolf 2019, Why ReLU networks yield high-confidence "
        "predictions far away from the training data",
        "https://arxiv.org/abs/1812.05720",
    ),
)
def noise_confidence(
    *,
    widths: tuple[int, ...],
    epochs: int,
    networks: int,
    images: int,
    generator: torch.Generator,
) -> Trial:
    """The noise of `noise_classes`, which is uniform from 0 to 1 for the effect.

    Among the parts are the other kinds, test digits, and such networks before training, which have
    next to no opinion.

    Args:
        widths: Of the hidden layers.
        epochs: Passes over the data.
        networks: Trained at once.
        images: Of each kind of noise.
        generator: Source of weights and noise.
    """
    fresh = classifiers(widths, 0, networks, generator=generator)
    known = classifiers(widths, epochs, networks, generator=generator)
    kinds = noises(known.test, images, generator=generator)
    sure = {kind: _confidence(known.networks, x) for kind, x in kinds.items()}
    sure["test digits"] = _confidence(known.networks, known.test)
    sure["uniform, before training"] = _confidence(fresh.networks, kinds["uniform"])
    figure = Bars(
        "Confidence", "mean largest probability",
        {name: exact(value) for name, value in sure.items()},
    )  # fmt: skip
    return Trial(
        effect=sure["uniform"],
        parts={f"confidence, {kind}": value for kind, value in sure.items()},
        figures=(figure,),
    )


def _confidence(networks: list[torch.nn.Module], inputs: torch.Tensor) -> float:
    return answers(networks, inputs).softmax(dim=2).amax(dim=2).mean().item()
