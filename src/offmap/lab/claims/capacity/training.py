"""Many small networks trained side by side: every arm on the same digits, from the same weights."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from math import isqrt
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy, pad
from torch.optim import Adam, Optimizer

from offmap.lab.claims.capacity.arms import CLASSES, Arm, Problem
from offmap.lab.claims.capacity.disturbance import Settings, disturbed
from offmap.train import Diverged

Layer = tuple[Tensor, Tensor]  # weights [m i o] and biases [m 1 o] of m networks
Rule = Callable[[Any], Optimizer]


class Networks(NamedTuple):
    """Trained multilayer perceptrons, the repeats of an arm in a row.

    Args:
        layers: Weights and biases of all m = arms x repeats.
        losses: On the examples as they are, after each epoch, or after the last.
        hits: Accuracy on the same.
        arms: How many.
    """

    layers: list[Layer]
    losses: Float[Tensor, "epochs arms r"]
    hits: Float[Tensor, "epochs arms r"]
    arms: int


def adam(rate: float) -> Rule:
    """Adam with this learning rate."""
    return partial(Adam, lr=rate, fused=True)


def train(
    problem: Problem, arms: Sequence[Arm], *, hidden: Sequence[int], epochs: int, batch_size: int,
    rule: Rule, generator: torch.Generator, watch: bool = False, until: float = 2.0,
) -> Networks:  # fmt: skip
    """Train every arm on every repeat of the problem.

    Args:
        problem: The examples.
        arms: Ways to train.
        hidden: Width of each hidden layer.
        epochs: Passes over the examples, at most.
        batch_size: Examples in an update.
        rule: Optimizer of the weights; it must update each number by itself.
        generator: Source of weights, order, and noise.
        watch: Whether to look at the networks after every epoch.
        until: Accuracy on the examples trained on with which, once all have it, training ends.

    Raises:
        Diverged: At the first loss that is not finite.
    """
    repeats, n, d = problem.inputs.shape
    settings = Settings(arms, repeats)
    widths = (d, *hidden, CLASSES)
    layers = [_initial(i, o, repeats, settings, generator) for i, o in pairwise(widths)]
    weights = [w.requires_grad_() for layer in layers for w in layer]
    optimizer, seen = rule(weights), []
    targets = _targets(problem, arms, generator)
    moving = any(arm.shift for arm in arms)
    inputs = _moved(problem.inputs) if moving else problem.inputs[None]
    for epoch in range(1, epochs + 1):
        order = torch.rand(repeats, n, generator=generator).argsort(dim=1)
        for rows in order.split(batch_size, dim=1):
            batch = _batch(inputs, rows, arms, generator)
            answers = disturbed(layers, batch, settings, generator)
            losses = _losses(answers, targets.gather(1, rows.repeat(len(arms), 1)))
            _update(weights, optimizer, losses, settings, epoch, generator)
        if watch or epoch == epochs:
            with torch.no_grad():
                answers = forward(layers, problem.inputs.repeat(len(arms), 1, 1))
                hits = (answers.argmax(dim=2) == targets).float().mean(dim=1)
                seen.append(torch.stack([_losses(answers, targets), hits]))
            if bool((hits >= until).all()):
                break
    losses, hits = torch.stack(seen, dim=1).unflatten(2, (len(arms), repeats))
    return Networks([(w.detach(), b.detach()) for w, b in layers], losses, hits, len(arms))


def forward(layers: Sequence[Layer], inputs: Float[Tensor, "m n d"]) -> Float[Tensor, "m n k"]:
    """Scores of the classes."""
    for place, (weight, bias) in enumerate(layers):
        inputs = torch.baddbmm(bias, inputs.relu() if place else inputs, weight)
    return inputs


def accuracy(networks: Networks, problem: Problem) -> Float[Tensor, "arms r"]:
    """On the pictures held out."""
    everyone = problem.test_inputs.expand(len(networks.layers[0][0]), -1, -1)
    hits = forward(networks.layers, everyone).argmax(dim=2) == problem.test_targets
    return hits.float().mean(dim=1).unflatten(0, (networks.arms, -1))


def _initial(
    inputs: int, outputs: int, repeats: int, settings: Settings, generator: torch.Generator
) -> Layer:
    """Torch's initial weights of a linear layer, the same for all arms but for their size."""
    values = (2 * torch.rand(repeats, inputs + 1, outputs, generator=generator) - 1) / inputs**0.5
    values = values.repeat(settings.arms, 1, 1)
    if settings.init is not None:
        values = values * settings.init
    return values[:, :-1].contiguous(), values[:, -1:].contiguous()


def _targets(
    problem: Problem, arms: Sequence[Arm], generator: torch.Generator
) -> Int[Tensor, "m n"]:
    """Of each network: the true ones, or for some of them ones drawn once that mean nothing."""
    drawn = torch.randint(CLASSES, problem.targets.shape, generator=generator)
    turn = torch.rand(problem.targets.shape, generator=generator)
    return torch.cat([drawn.where(turn < arm.random_targets, problem.targets) for arm in arms])


def _moved(inputs: Float[Tensor, "r n d"]) -> Float[Tensor, "moves r n d"]:
    """The pictures as they are, then moved by one pixel in each of eight directions."""
    side = isqrt(inputs.shape[2])
    padded = pad(inputs.unflatten(2, (side, side)), (1, 1, 1, 1))
    moves = sorted(((y, x) for y in range(3) for x in range(3)), key=lambda move: move != (1, 1))
    return torch.stack([padded[..., y : y + side, x : x + side].flatten(2) for y, x in moves])


def _batch(
    inputs: Float[Tensor, "moves r n d"], rows: Int[Tensor, "r b"], arms: Sequence[Arm],
    generator: torch.Generator,
) -> Float[Tensor, "m b d"]:  # fmt: skip
    """The examples of an update, of every network."""
    repeat = torch.arange(len(rows))[:, None]
    still = inputs[0][repeat, rows]
    if len(inputs) == 1:
        return still.repeat(len(arms), 1, 1)
    moved = inputs[torch.randint(len(inputs), rows.shape, generator=generator), repeat, rows]
    return torch.cat([still.lerp(moved, arm.shift) for arm in arms])


def _losses(answers: Float[Tensor, "m n k"], targets: Int[Tensor, "m n"]) -> Float[Tensor, " m"]:
    flat = cross_entropy(answers.flatten(0, 1), targets.flatten(), reduction="none")
    return flat.view(targets.shape).mean(dim=1)


def _update(
    weights: list[Tensor], optimizer: Optimizer, losses: Float[Tensor, " m"], settings: Settings,
    epoch: int, generator: torch.Generator,
) -> None:  # fmt: skip
    """One step of every network.

    Raises:
        Diverged: If a loss is not finite.
    """
    if not bool(losses.isfinite().all()):
        raise Diverged(f"training diverged in epoch {epoch}: lower the learning rate")
    gradients = torch.autograd.grad(losses.sum(), weights)
    paces = [settings.pace_of(place, epoch) for place in range(len(weights))]
    with torch.no_grad():
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = settings.changed(gradient, weight, generator)
        before = [
            None if pace is None else w.clone() for w, pace in zip(weights, paces, strict=True)
        ]
        optimizer.step()
        for weight, start, pace in zip(weights, before, paces, strict=True):
            if start is not None and pace is not None:
                weight.copy_(start + pace * (weight - start))
