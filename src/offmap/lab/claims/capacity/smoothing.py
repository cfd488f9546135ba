"""What claims on regularizers and smoothness share: plain training against another, and scales."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from offmap.estimate import replicates
from offmap.figures import Bars
from offmap.lab.claim import Scale, Trial
from offmap.lab.claims.capacity.arms import Arm, Problem, draw
from offmap.lab.claims.capacity.smoothness import smoothness
from offmap.lab.claims.capacity.training import Networks, accuracy, adam, train

EFFECT = (
    "log of (median distance of held-out digits to the nearest class boundary, to first order, "
    "over that of plain training), mean over pairs of networks that start alike"
)
LINE = math.log(1.05)  # a twentieth farther: less is not worth the name
SCALES: Mapping[Scale, Mapping[str, Any]] = {
    "smoke": {"n": 100, "repeats": 10, "width": 64, "epochs": 50, "batch_size": 50, "rate": 0.01},
    "desk": {"n": 300, "repeats": 5, "width": 128, "epochs": 100, "batch_size": 64, "rate": 2e-3},
    "full": {"n": 300, "repeats": 16, "width": 256, "epochs": 300, "batch_size": 64, "rate": 1e-3},
}
LONGER: Mapping[Scale, Mapping[str, Any]] = {
    **SCALES,  # small changes need a network that is done
    "smoke": {"n": 100, "repeats": 6, "width": 128, "epochs": 50, "batch_size": 50, "rate": 0.003},
}
REGULARIZERS = {
    "weight decay": Arm(decay=1e-3),
    "dropout": Arm(dropout=0.5),
    "input noise": Arm(input_noise=0.1),
    "weight noise": Arm(weight_noise=0.3),
    "activation noise": Arm(activation_noise=0.5),
    "moved pictures": Arm(shift=1.0),
}
SMOOTHING = ("weight decay", "dropout", "input noise")
ALL: Mapping[Scale, Mapping[str, Any]] = {
    scale: {**given, "repeats": given["repeats"] // 2} for scale, given in SCALES.items()
}
POINTS = 600  # held-out digits at which smoothness is read


def with_doses(
    scales: Mapping[Scale, Mapping[str, Any]], doses: tuple[float, ...]
) -> Mapping[Scale, Mapping[str, Any]]:
    """The first dose at every scale; the others to compare, beyond smoke."""
    given = {"smoke": doses[:1], "desk": doses, "full": doses}
    return {scale: {"doses": given[scale], **rest} for scale, rest in scales.items()}


def against_plain(
    arms: Mapping[str, Arm], *, n: int, repeats: int, width: int, epochs: int, batch_size: int,
    rate: float, generator: torch.Generator,
) -> Trial:  # fmt: skip
    """Train two hidden layers on digits, plainly and by each arm; the first arm's effect."""
    problem = draw(n, repeats, generator=generator)
    networks = train(
        problem, [Arm(), *arms.values()], hidden=(width, width), epochs=epochs,
        batch_size=batch_size, rule=adam(rate), generator=generator,
    )  # fmt: skip
    return compared(["plain", *arms], networks, problem)


def farther(trial: Trial, name: str) -> float:
    """Log of the distance to the boundary under this arm, over that of plain training."""
    return math.log(trial.parts[f"{name}: distance, times plain"])


def compared(names: list[str], networks: Networks, problem: Problem) -> Trial:
    """The arms' smoothness against that of the first, which is plain training."""
    slope, distance = smoothness(networks, problem.test_inputs[:POINTS])
    room, right = log_ratios(distance), accuracy(networks, problem)
    steeper, known = log_ratios(slope), networks.hits[-1]
    parts = {}
    for place, name in enumerate(names):
        parts[f"{name}: test accuracy"] = right[place].mean().item()
        parts[f"{name}: training accuracy"] = known[place].mean().item()
        if place:
            parts[f"{name}: distance, times plain"] = room[place].mean().exp().item()
            parts[f"{name}: slope of the scores, times plain"] = steeper[place].mean().exp().item()
    bars = {name: replicates(values) for name, values in zip(names, distance, strict=True)}
    return Trial(
        effect=room[1].mean().item(),
        parts=parts,
        figures=(Bars("Room around held-out digits", "distance to the boundary", bars),),
    )


def log_ratios(values: Float[Tensor, "arms r"]) -> Float[Tensor, "arms r"]:
    """Log of each arm's number over that of the first, network by network."""
    return (values.double() / values[0].double()).log()
