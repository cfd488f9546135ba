"""A ReLU network is sure of its answer far from all data."""

import torch

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.off_map.sure_digits import answers, classifiers
from offmap.numerics.certainty import log_doubt

SCALES = (1.0, 2.0, 5.0, 10.0, 100.0, 1000.0)


@claim(
    says="Networks of digits are, on average, more than 99.9 % sure of uniform noise scaled up a "
    "thousand times.",
    effect="Mean largest softmax probability at 1000 times uniform noise, over noise and networks.",
    above=0.999,
    scales={
        "smoke": {"widths": (64, 64), "epochs": 12, "networks": 2, "rays": 500},
        "desk": {"widths": (128, 128), "epochs": 30, "networks": 5, "rays": 2000},
        "full": {"widths": (128, 128), "epochs": 200, "networks": 10, "rays": 5000},
    },
    seconds={"smoke": 0.6, "desk": 2.1, "full": 40},
    paper=Paper(
        "Hein, Andriushchenko and Bitterwolf 2019, Why ReLU networks yield high-confidence "
        "predictions far away from the training data",
        "https://arxiv.org/abs/1812.05720",
    ),
)
def relu_far_conf(
    *,
    widths: tuple[int, ...],
    epochs: int,
    networks: int,
    rays: int,
    generator: torch.Generator,
) -> Trial:
    """Noise is uniform from 0 to 1, the range of the pixels, and multiplied by 1 to 1000.

    Logits come from weights in float64, and 1 - confidence from their logarithms
    (`offmap.numerics.certainty`), so that nothing saturates. The confidence on test digits is
    among the parts, and how many rays are within a millionth of certainty.

    Args:
        widths: Of the hidden layers.
        epochs: Passes over the data.
        networks: Trained at once.
        rays: Through zero and a point of noise each.
        generator: Source of weights and noise.
    """
    known = classifiers(widths, epochs, networks, generator=generator)
    nets = [net.double() for net in known.networks]
    noise = torch.rand(rays, known.test.shape[1], generator=generator, dtype=torch.double)
    doubt = torch.stack([log_doubt(answers(nets, scale * noise)) for scale in SCALES])
    sure = (-doubt.expm1()).mean(dim=(1, 2))
    figure = Curve(
        "Confidence on the way out", "times the noise", "mean confidence",
        torch.tensor(SCALES, dtype=torch.double), {"networks of digits": sure}, log_x=True,
    )  # fmt: skip
    return Trial(
        effect=sure[-1].item(),
        parts={
            "accuracy": known.accuracy,
            "confidence on test digits": (
                -log_doubt(answers(nets, known.test.double())).expm1()
            ).mean().item(),
            **{
                f"confidence at {scale:g} times": value
                for scale, value in zip(SCALES, sure.tolist(), strict=True)
            },
            "rays within 1e-6 of certainty at 1000 times": (doubt[-1].exp() <= 1e-6)
            .double().mean().item(),
        },
        figures=(figure,),
    )  # fmt: skip
