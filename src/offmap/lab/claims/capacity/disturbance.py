"""What arms do to a step of training: noise on the way forward, changes to the gradient."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

NEUTRAL = {"pace": 1.0, "init": 1.0}


class Settings:
    """The numbers of all arms, [m 1 1] each, for m = arms x repeats; None where all are neutral.

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
        self.dropout, self.input_noise = each("dropout"), each("input_noise")
        self.activation_noise, self.weight_noise = each("activation_noise"), each("weight_noise")
        self.shift, self.init, self.pace = each("shift"), each("init"), each("pace")
        self.frozen, self.stop = each("frozen"), each("stop")

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

    def noise(like: Tensor, size: Tensor) -> Tensor:
        return size * torch.randn(like.shape, generator=generator)

    if settings.input_noise is not None:
        values = values + noise(values, settings.input_noise)
    for place, (weight, bias) in enumerate(layers):
        if place:
            values = values.relu()
            if settings.activation_noise is not None:
                values = values + noise(values, settings.activation_noise)
            if (share := settings.dropout) is not None:
                kept = torch.rand(values.shape, generator=generator) >= share
                values = values * kept / (1 - share)
        out = torch.baddbmm(bias, values, weight)
        if settings.weight_noise is not None:  # of the sum, whose law is known: no noisy weights
            spread = (values.square() @ weight.square() + 1e-12).sqrt()
            out = out + spread * noise(out, settings.weight_noise)
        values = out
    return values
