"""Many small networks that differ in one thing each, trained side by side on the same digits.

An arm is a way to train. All arms of a repeat start from the same weights and see the same
examples in the same order, so that what differs at the end is due to the arm.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy, pad
from torch.optim import Adam, Optimizer

from offmap.lab.data import digits
from offmap.train import Diverged

Layer = tuple[Tensor, Tensor]  # weights [m i o] and biases [m 1 o] of m networks
ADAM = partial(Adam, lr=1e-3)
NEVER = 10**9
SIDE, CLASSES = 8, 10


@dataclass(frozen=True, slots=True)
class Arm:
    """A way to train: plain, but for what is named here.

    Args:
        decay: Penalty on half the square of each weight and bias.
        dropout: Share of the hidden activations that is dropped at each step.
        input_noise: Standard deviation of Gaussian noise on the pixels.
        activation_noise: Of Gaussian noise on the hidden activations.
        weight_noise: Of Gaussian noise by which weights are multiplied, drawn for each example.
        shift: Whether pictures are moved by up to one pixel in each direction.
        stop: Epoch after which the weights stay as they are.
        pace: Learning rate, as a multiple of the others'.
        init: Size of the initial weights, as a multiple of the others'.
        frozen: Whether the first layer stays as it is.
        flips: Share of the numbers of the gradient whose sign is turned.
        random_targets: Whether each target is replaced, once, by one drawn at random.
    """

    decay: float = 0.0
    dropout: float = 0.0
    input_noise: float = 0.0
    activation_noise: float = 0.0
    weight_noise: float = 0.0
    shift: bool = False
    stop: int = NEVER
    pace: float = 1.0
    init: float = 1.0
    frozen: bool = False
    flips: float = 0.0
    random_targets: bool = False


class Problem(NamedTuple):
    """Examples to train on, for each repeat, and examples to test on."""

    inputs: Float[Tensor, "r n d"]
    targets: Int[Tensor, "r n"]
    test_inputs: Float[Tensor, "t d"]
    test_targets: Int[Tensor, " t"]


def draw_digits(n: int, repeats: int, *, generator: torch.Generator) -> Problem:
    """So many digits, for each repeat drawn anew; all that are held out to test on."""
    images = digits()
    orders = [torch.randperm(len(images.inputs), generator=generator) for _ in range(repeats)]
    rows = torch.stack(orders)[:, :n]
    return Problem(
        images.inputs.flatten(1)[rows], images.targets[rows],
        images.test_inputs.flatten(1), images.test_targets,
    )  # fmt: skip


class Networks(NamedTuple):
    """Trained multilayer perceptrons, the repeats of an arm in a row.

    Args:
        layers: Weights and biases of all m = arms x repeats.
        targets: That each was trained on.
        losses: On the examples trained on, as they are, after each epoch.
        hits: Accuracy on the same.
        arms: How many.
    """

    layers: list[Layer]
    targets: Int[Tensor, "m n"]
    losses: Float[Tensor, "epochs arms r"]
    hits: Float[Tensor, "epochs arms r"]
    arms: int

    def by_arm(self, values: Float[Tensor, "m *rest"]) -> Float[Tensor, "arms r *rest"]:
        """Numbers of all networks, as rows of arms."""
        return values.unflatten(0, (self.arms, -1))


def train(
    problem: Problem,
    arms: Sequence[Arm],
    *,
    hidden: Sequence[int],
    epochs: int,
    batch_size: int,
    generator: torch.Generator,
    optimizer: Callable[[Any], Optimizer] = ADAM,
    until: float = 2.0,
) -> Networks:
    """Train every arm on every repeat of the problem.

    Args:
        problem: The examples.
        arms: Ways to train.
        hidden: Width of each hidden layer.
        epochs: Passes over the examples, at most.
        batch_size: Examples in an update.
        generator: Source of weights, order, and noise.
        optimizer: Of the weights; it must update each number by itself.
        until: Accuracy on the examples trained on at which, once all have it, training ends.

    Raises:
        Diverged: At the first loss that is not finite.
    """
    repeats, n, d = problem.inputs.shape
    widths = (d, *hidden, CLASSES)
    layers = [_initial(i, o, repeats, arms, generator) for i, o in pairwise(widths)]
    weights = [w.requires_grad_() for layer in layers for w in layer]
    targets = _targets(problem, arms, generator)
    rule, watched = optimizer(weights), []
    inputs = _moved(problem.inputs) if any(arm.shift for arm in arms) else problem.inputs[None]
    for epoch in range(epochs):
        order = torch.rand(repeats, n, generator=generator).argsort(dim=1)
        for rows in order.split(batch_size, dim=1):
            batch = _batch(inputs, rows, arms, generator)
            loss = _losses(_answers(layers, batch, arms, generator), targets.gather(
                1, rows.repeat(len(arms), 1)))
            _update(layers, weights, rule, loss, arms, epoch, generator)
        with torch.no_grad():
            answers = forward(layers, problem.inputs.repeat(len(arms), 1, 1))
            hits = (answers.argmax(dim=2) == targets).float().mean(dim=1)
            watched.append(torch.stack([_losses(answers, targets), hits]))
        if bool((hits >= until).all()):
            break
    curves = torch.stack(watched, dim=1).unflatten(2, (len(arms), repeats))
    done = [(w.detach(), b.detach()) for w, b in layers]
    return Networks(done, targets, curves[0], curves[1], len(arms))


def forward(layers: Sequence[Layer], inputs: Float[Tensor, "m n d"]) -> Float[Tensor, "m n k"]:
    """Scores of the classes."""
    for place, (weight, bias) in enumerate(layers):
        inputs = torch.baddbmm(bias, inputs.relu() if place else inputs, weight)
    return inputs


def accuracy(networks: Networks, problem: Problem) -> Float[Tensor, "arms r"]:
    """On the held-out digits."""
    hits = forward(networks.layers, _to_all(networks, problem.test_inputs)).argmax(dim=2)
    return networks.by_arm((hits == problem.test_targets).float().mean(dim=1))


class Smoothness(NamedTuple):
    """Of the scores, at examples held out.

    Args:
        slope: Mean Frobenius norm of the Jacobian.
        distance: Median over the examples of the distance to the nearest boundary between two
            classes, to first order: it does not change when all scores are multiplied.
    """

    slope: Float[Tensor, "arms r"]
    distance: Float[Tensor, "arms r"]


def smoothness(networks: Networks, inputs: Float[Tensor, "n d"]) -> Smoothness:
    """How fast the scores change around these inputs; exact, for ReLU networks."""
    active, values = [], _to_all(networks, inputs)
    for weight, bias in networks.layers:
        active.append(values > 0)
        values = torch.baddbmm(bias, values.relu() if len(active) > 1 else values, weight)
    jacobian = networks.layers[-1][0].transpose(1, 2)[:, None]  # [m 1 k h], then [m n k d]
    for (weight, _), on in zip(networks.layers[-2::-1], active[:0:-1], strict=True):
        jacobian = (jacobian * on[:, :, None]).flatten(1, 2) @ weight.transpose(1, 2)
        jacobian = jacobian.unflatten(1, (len(inputs), -1))
    slope = jacobian.square().sum(dim=(2, 3)).sqrt().mean(dim=1)
    best, first = values.max(dim=2, keepdim=True)
    lead = best - values
    apart = (jacobian.gather(2, first[..., None].expand(-1, -1, 1, jacobian.shape[3])) - jacobian).norm(dim=3)
    lead[apart == 0] = torch.inf
    near = (lead / apart.clamp_min(1e-30)).amin(dim=2).median(dim=1).values
    return Smoothness(networks.by_arm(slope), networks.by_arm(near))


def _to_all(networks: Networks, inputs: Float[Tensor, "n d"]) -> Float[Tensor, "m n d"]:
    return inputs.expand(len(networks.targets), -1, -1)


def _initial(
    inputs: int, outputs: int, repeats: int, arms: Sequence[Arm], generator: torch.Generator
) -> Layer:
    """Torch's initial weights of a linear layer, the same for all arms but for their size."""
    values = 2 * torch.rand(repeats, inputs + 1, outputs, generator=generator) - 1
    values = (values / inputs**0.5).repeat(len(arms), 1, 1) * _each(arms, "init", repeats)
    return values[:, :-1].contiguous(), values[:, -1:].contiguous()


def _targets(
    problem: Problem, arms: Sequence[Arm], generator: torch.Generator
) -> Int[Tensor, "m n"]:
    """Of each network: the true ones, or ones drawn once that mean nothing."""
    drawn = torch.randint(CLASSES, problem.targets.shape, generator=generator)
    return torch.cat([drawn if arm.random_targets else problem.targets for arm in arms])


def _each(arms: Sequence[Arm], what: str, repeats: int) -> Float[Tensor, "m 1 1"]:
    """A setting of every network's arm."""
    values = torch.tensor([float(getattr(arm, what)) for arm in arms])
    return values.repeat_interleave(repeats)[:, None, None]


def _moved(inputs: Float[Tensor, "r n d"]) -> Float[Tensor, "moves r n d"]:
    """The pictures as they are, then moved by one pixel in each of eight directions."""
    padded = pad(inputs.unflatten(2, (SIDE, SIDE)), (1, 1, 1, 1))
    moves = sorted(((y, x) for y in range(3) for x in range(3)), key=lambda move: move != (1, 1))
    return torch.stack([padded[..., y:y + SIDE, x:x + SIDE].flatten(2) for y, x in moves])


def _batch(
    inputs: Float[Tensor, "moves r n d"], rows: Int[Tensor, "r b"], arms: Sequence[Arm],
    generator: torch.Generator,
) -> Float[Tensor, "m b d"]:
    """The examples of an update, of every network."""
    repeat = torch.arange(len(rows))[:, None]
    still = inputs[0][repeat, rows]
    if len(inputs) == 1:
        return still.repeat(len(arms), 1, 1)
    move = torch.randint(len(inputs), rows.shape, generator=generator)
    moved = inputs[move, repeat, rows]
    return torch.cat([moved if arm.shift else still for arm in arms])


def _noise(like: Tensor, size: Tensor, generator: torch.Generator) -> Tensor | float:
    """Gaussian, of a standard deviation for each network; nothing drawn where all are zero."""
    return size * torch.randn(like.shape, generator=generator) if bool(size.any()) else 0.0


def _answers(
    layers: Sequence[Layer], values: Float[Tensor, "m b d"], arms: Sequence[Arm],
    generator: torch.Generator,
) -> Float[Tensor, "m b k"]:
    """Scores in training, with the noise of each arm."""
    each = partial(_each, arms, repeats=len(values) // len(arms))
    values = values + _noise(values, each("input_noise"), generator)
    for place, (weight, bias) in enumerate(layers):
        if place:
            values = values.relu()
            values = values + _noise(values, each("activation_noise"), generator)
            if bool((share := each("dropout")).any()):
                kept = torch.rand(values.shape, generator=generator) >= share
                values = values * kept / (1 - share)
        out = torch.baddbmm(bias, values, weight)
        if bool((size := each("weight_noise")).any()):  # the law of the sum, drawn at once
            spread = (values.square() @ weight.square() + 1e-12).sqrt()
            out = out + spread * _noise(out, size, generator)
        values = out
    return values


def _losses(answers: Float[Tensor, "m n k"], targets: Int[Tensor, "m n"]) -> Float[Tensor, " m"]:
    return cross_entropy(answers.transpose(1, 2), targets, reduction="none").mean(dim=1)


def _update(
    layers: Sequence[Layer], weights: list[Tensor], rule: Optimizer, losses: Float[Tensor, " m"],
    arms: Sequence[Arm], epoch: int, generator: torch.Generator,
) -> None:
    """One step of every network, each at its own pace."""
    if not bool(losses.isfinite().all()):
        raise Diverged(f"training diverged in epoch {epoch + 1}: lower the learning rate")
    each = partial(_each, arms, repeats=len(losses) // len(arms))
    for weight, gradient in zip(weights, torch.autograd.grad(losses.sum(), weights), strict=True):
        weight.grad = gradient
        with torch.no_grad():
            if bool((decay := each("decay")).any()):
                weight.grad += decay * weight
            if bool((flips := each("flips")).any()):
                turned = torch.rand(weight.shape, generator=generator) < flips
                weight.grad = torch.where(turned, -weight.grad, weight.grad)
    pace = each("pace") * (each("stop") > epoch)
    paces = [pace * (1 - each("frozen")) if w in (0, 1) else pace for w in range(len(weights))]
    before = [w.detach().clone() for w in weights] if bool((pace != 1).any()) or any(a.frozen for a in arms) else []
    rule.step()
    with torch.no_grad():
        for weight, start, share in zip(weights, before, paces, strict=False):
            weight.copy_(start.lerp(weight, share))
