"""Distance to the nearest training input refuses what lies far out; confidence does not."""

import torch

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.off_map.sure_digits import answers, classifiers
from offmap.numerics.conformal import p_values
from offmap.numerics.neighbors import search

SCALES = (1.0, 2.0, 5.0, 10.0, 100.0, 1000.0)
RATE = 0.05  # of false alarms


@claim(
    says="A guard that refuses inputs too far from the nearest training digit, at a false-alarm "
    "rate of 5 %, refuses all uniform noise, at every scale from 1 to 1000.",
    effect="Share of noise that is refused; the least over scales.",
    above=0.999,
    scales={
        "smoke": {"widths": (64, 64), "epochs": 10, "networks": 2, "rays": 200},
        "desk": {"widths": (128, 128), "epochs": 30, "networks": 5, "rays": 2000},
        "full": {"widths": (128, 128), "epochs": 200, "networks": 10, "rays": 5000},
    },
    seconds={"smoke": 0.45, "desk": 2, "full": 40},
    paper=Paper(
        "Hein, Andriushchenko and Bitterwolf 2019, Why ReLU networks yield high-confidence "
        "predictions far away from the training data",
        "https://arxiv.org/abs/1812.05720",
    ),
)
def neighbor_guard_far(
    *,
    widths: tuple[int, ...],
    epochs: int,
    networks: int,
    rays: int,
    generator: torch.Generator,
) -> Trial:
    """Conformal p-values of distances, calibrated on half of the test digits; refused below 5 %.

    What the other half of the digits is refused is among the parts, and the control: the same
    guard made of the networks' confidence, which refuses less the farther out the noise is.

    Args:
        widths: Of the hidden layers.
        epochs: Passes over the data.
        networks: Trained at once, for the control.
        rays: Through zero and a point of noise each.
        generator: Source of weights, noise and of the halves.
    """
    known = classifiers(widths, epochs, networks, generator=generator)
    order = torch.randperm(len(known.test), generator=generator)
    half, other = known.test[order].tensor_split(2)
    noise = torch.rand(rays, known.test.shape[1], generator=generator)

    def distance(inputs: torch.Tensor) -> torch.Tensor:
        return search(inputs, known.train, k=1).distance[:, 0]

    def unsure(inputs: torch.Tensor) -> torch.Tensor:  # [networks, n]
        return -answers(known.networks, inputs).double().log_softmax(dim=2).amax(dim=2)

    near, doubts = distance(half), unsure(half)
    by_distance, by_doubt = [], []
    for inputs in (other, *(scale * noise for scale in SCALES)):
        by_distance.append(_refused(distance(inputs), near))
        rows = zip(unsure(inputs), doubts, strict=True)
        by_doubt.append(sum(_refused(*row) for row in rows) / networks)
    figure = Curve(
        "Noise that a guard refuses", "times the noise", "share refused",
        torch.tensor(SCALES, dtype=torch.double),
        {
            "by distance": torch.tensor(by_distance[1:]),
            "by confidence": torch.tensor(by_doubt[1:]),
        },
        log_x=True,
    )  # fmt: skip
    return Trial(
        effect=min(by_distance[1:]),
        parts={
            "digits refused by distance": by_distance[0],
            "digits refused by confidence": by_doubt[0],
            **{
                f"noise at {scale:g} times refused by confidence": share
                for scale, share in zip(SCALES, by_doubt[1:], strict=True)
            },
        },
        figures=(figure,),
    )


def _refused(scores: torch.Tensor, calibration: torch.Tensor) -> float:
    return (p_values(scores, calibration) <= RATE).double().mean().item()
