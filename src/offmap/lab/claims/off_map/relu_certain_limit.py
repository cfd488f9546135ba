"""In the limit a ReLU network is certain, along almost every ray."""

from itertools import pairwise

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.off_map.sure_digits import answers, classifiers
from offmap.numerics.certainty import confidence_at_infinity

OUT = 1e6  # where logits are lines: bends lie closer for all but a few rays


@claim(
    says="Along more than 99.9 % of rays the confidence of a ReLU network goes to 1.",
    effect="Share of rays, through uniform noise and through test digits, whose limit is 1, of "
    "those whose logits are lines by a million times the start.",
    above=0.999,
    scales={
        "smoke": {"widths": (64, 64), "epochs": 6, "networks": 2, "rays": 300},
        "desk": {"widths": (128, 128), "epochs": 30, "networks": 5, "rays": 2000},
        "full": {"widths": (128, 128), "epochs": 200, "networks": 10, "rays": 5000},
    },
    seconds={"smoke": 0.6, "desk": 4.1, "full": 40},
    paper=Paper(
        "Hein, Andriushchenko and Bitterwolf 2019, Why ReLU networks yield high-confidence "
        "predictions far away from the training data",
        "https://arxiv.org/abs/1812.05720",
    ),
)
def relu_certain_limit(
    *,
    widths: tuple[int, ...],
    epochs: int,
    networks: int,
    rays: int,
    generator: torch.Generator,
) -> Trial:
    r"""Confidence in the limit, by the theorem of the paper.

    If no linear region of the network has two logits of the same slope that are both largest,

    .. math:: \lim_{a \to \infty} \max_k \operatorname{softmax}_k f(a x) = 1

    for almost every x. The limit is taken by `offmap.numerics.certainty` from the logits at once,
    twice and four times a million times the start, in float64, which must lie on lines; the share
    of rays where they do is among the parts. Control: bounded networks, with tanh for ReLU, have
    limits below 1.

    Args:
        widths: Of the hidden layers.
        epochs: Passes over the data.
        networks: Trained at once.
        rays: Through zero and a point of noise each; as many through digits, at most.
        generator: Source of weights and noise.
    """
    parts: dict[str, float] = {}
    for name, build in (("ReLU", None), ("tanh", lambda: tanh_network(widths))):
        known = classifiers(widths, epochs, networks, build=build, generator=generator)
        nets = [net.double() for net in known.networks]
        noise = torch.rand(rays, known.test.shape[1], generator=generator, dtype=torch.double)
        start = OUT * torch.cat([noise, known.test[:rays].double()])
        points = (answers(nets, a * start).flatten(0, 1) for a in (1, 2, 4))
        limit = confidence_at_infinity(*points)
        of = limit[~limit.isnan()]
        parts |= {
            f"{name}: rays that are lines by then": len(of) / len(limit),
            f"{name}: limits of 1": (of == 1).double().mean().item(),
            f"{name}: mean limit": of.mean().item(),
        }
    return Trial(effect=parts["ReLU: limits of 1"], parts=parts)


def tanh_network(widths: tuple[int, ...]) -> torch.nn.Module:
    """As the ReLU network, with a bounded function in its place."""
    sizes = (64, *widths)
    layers: list[torch.nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [torch.nn.Linear(before, after), torch.nn.Tanh()]
    return torch.nn.Sequential(*layers, torch.nn.Linear(sizes[-1], 10))
