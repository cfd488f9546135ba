"""What arms do to a step of training: noise on the way forward, changes to the gradient."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

NEUTRAL = {"pace": 1.0, "init": 1.0}
NOISE = ("input_noise", "activation_noise", "dropout", "weight_noise")


class Settings:
    """The numbers of all arms, [m 1 1] each, for m = arms x repeats; None where all are neutral.

    Noise is drawn for those arms alone that have it: `noisy` has their rows and its size.

    Args:
        arms: Records of numbers.
        repeats: Networks of each arm.
    """

    def __init__(self, arms: Sequence[object], repeats: int) -> None:
        def each(name: str) -> Tensor | None:
            values = torch.tensor([float(getattr(arm, name)) for arm in arms])
            if bool((values == NEUTRAL.get(name, 0.0)).all()):
                return None
            return values.repeat_interleave(repeats)[:, None, None]

        self.arms = len(arms)
        self.decay, self.flips = each("decay"), each("flips")
        self.init, self.pace = each("init"), each("pace")
        self.frozen, self.stop = each("frozen"), each("stop")
        self.noisy = {
            name: [
                (slice(place * repeats, (place + 1) * repeats), getattr(arm, name))
                for place, arm in enumerate(arms)
                if getattr(arm, name)
            ]
            for name in NOISE
        }
        self.hides = bool(self.noisy["activation_noise"] or self.noisy["dropout"])

    def pace_of(self, place: int, epoch: int) -> Float[Tensor, "m 1 1"] | None:
        """Share of its step that the weight at this place makes; None where all make all of it."""
        running = None if self.stop is None else (epoch <= self.stop).float()
        if running is not None and bool(running.all()):
            running = None
        moving = None if self.frozen is None or place > 1 else 1 - self.frozen
        given = [pace for pace in (self.pace, running, moving) if pace is not None]
        return torch.stack(given).prod(dim=0) if given else None

    def changed(
        self, gradient: Float[Tensor, "m i o"], weight: Float[Tensor, "m i o"],
        generator: torch.Generator,
    ) -> Float[Tensor, "m i o"]:  # fmt: skip
        """The gradient of the penalized loss, with the wrong sign here and there."""
        if self.decay is not None:
            gradient = gradient + self.decay * weight
        if self.flips is not None:
            turned = torch.rand(gradient.shape, generator=generator) < self.flips
            gradient = torch.where(turned, -gradient, gradient)
        return gradient


def disturbed(
    layers: Sequence[tuple[Tensor, Tensor]], values: Float[Tensor, "m b d"], settings: Settings,
    generator: torch.Generator,
) -> Float[Tensor, "m b k"]:  # fmt: skip
    """Scores in training, with the noise of each arm."""

    def noise(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=generator)

    for rows, size in settings.noisy["input_noise"]:
        values[rows] += size * noise(values[rows])
    for place, (weight, bias) in enumerate(layers):
        if place:
            values = values.relu()
            values = values.clone() if settings.hides else values  # what relu gave is still needed
            for rows, size in settings.noisy["activation_noise"]:
                values[rows] += size * noise(values[rows])
            for rows, share in settings.noisy["dropout"]:
                kept = torch.rand(values[rows].shape, generator=generator) >= share
                values[rows] *= kept / (1 - share)
        out = torch.baddbmm(bias, values, weight)
        for rows, size in settings.noisy["weight_noise"]:  # of the sum, whose law is known
            spread = (values[rows].square() @ weight[rows].square() + 1e-12).sqrt()
            out[rows] += size * spread * noise(spread)
        values = out
    return values
