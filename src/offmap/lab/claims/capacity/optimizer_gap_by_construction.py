"""An optimizer that scales each coordinate can fit everything and have learned nothing."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from jaxtyping import Float64
from torch import Tensor
from torch.optim import SGD, Adagrad, Adam, Optimizer, RMSprop
from torch.optim.lr_scheduler import ExponentialLR

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim

TINY = 1e-30  # added to the scale of a gradient: any more would change the direction in the end
FINAL = 1e-5  # learning rate at the end, as a share of the first
DESCENT = "gradient descent"
SCALING: Mapping[str, Callable[[Any], Optimizer]] = {
    "Adam": partial(Adam, lr=0.05, eps=TINY),
    "AdaGrad": partial(Adagrad, lr=0.1, eps=TINY),
    "RMSprop": partial(RMSprop, lr=0.05, eps=TINY),
}
SHARED = 3  # coordinates that all examples have: the class, and two that are always one
LARGER = 0.6


@claim(
    says="There are data on which gradient descent is right on every new example, while Adam, "
    "AdaGrad and RMSprop, which fit the training examples as well, always answer the larger "
    "class, of 60%.",
    effect="test accuracy of gradient descent minus that of the best of the three",
    above=0.3,
    scales={
        "smoke": {"n": 50, "steps": 600},
        "desk": {"n": 200, "steps": 2000},
        "full": {"n": 500, "steps": 4000},
    },
    seconds={"smoke": 0.1, "desk": 1.9, "full": 24.0},
    paper=Paper("Wilson et al. 2017", "https://arxiv.org/abs/1705.08292"),
)
def optimizer_gap_by_construction(*, n: int, steps: int, generator: torch.Generator) -> Trial:
    r"""Least squares from zero on an example of Wilson et al., and where each optimizer ends.

    An example of class y = 1 (60%) or -1 is (y, 1, 1) and then coordinates of its own, which no
    other example has: one of them is 1 where y = 1, five where y = -1. With X the examples,
    X sign(X'y) = 4 y, so methods that scale each coordinate by its own gradients stay on the line
    through sign(X'y), and end at

    .. math:: w = \tfrac14 \operatorname{sign}(X^\top y)

    whose score on a new example is (y + 2) / 4: always positive. Gradient descent ends at the
    smallest solution, which a system of two equations gives. Where each method ends is compared
    with its closed form; test accuracy is computed over both classes, not sampled.
    """
    positive = round(LARGER * n)
    targets = torch.ones(n, dtype=torch.double)
    targets[torch.randperm(n, generator=generator)[positive:]] = -1.0
    inputs = examples(targets)
    rate = n / torch.linalg.matrix_norm(inputs, 2).item() ** 2
    rules = {DESCENT: partial(SGD, lr=rate, momentum=0.95), **SCALING}
    ends = {
        name: descend(rule, inputs, targets, steps, last=1.0 if name == DESCENT else FINAL)
        for name, rule in rules.items()
    }
    right = {name: accuracy_on_new(end) for name, end in ends.items()}
    signs = (inputs.T @ targets).sign() / 4
    laws = {name: smallest(inputs, targets) if name == DESCENT else signs for name in ends}
    parts = {}
    for name, end in ends.items():
        fitted = (inputs @ end).sign() == targets
        parts[f"{name}: training accuracy"] = fitted.double().mean().item()
        parts[f"{name}: test accuracy"] = right[name]
        away = (end - laws[name]).norm() / laws[name].norm()
        parts[f"{name}: distance from the closed form"] = away.item()
    sizes = {name: ends[name][: SHARED + 1].abs() for name in (DESCENT, "Adam")}
    return Trial(
        effect=right[DESCENT] - max(right[name] for name in SCALING),
        parts=parts,
        figures=(
            Curve(
                "Weights: of the class, of two constants, and of one example's own coordinate",
                "coordinate", "size of the weight", torch.arange(1.0, SHARED + 2), sizes,
            ),
        ),
    )  # fmt: skip


def examples(targets: Float64[Tensor, " n"]) -> Float64[Tensor, "n d"]:
    """The class, two ones, and each example's own coordinates."""
    own = torch.where(targets > 0, 1, 5)
    owner = torch.repeat_interleave(torch.arange(len(targets)), own)
    private = (owner == torch.arange(len(targets))[:, None]).double()
    ones = torch.ones(len(targets), SHARED - 1, dtype=torch.double)
    return torch.cat([targets[:, None], ones, private], dim=1)


def descend(
    rule: Callable[[Any], Optimizer], inputs: Float64[Tensor, "n d"],
    targets: Float64[Tensor, " n"], steps: int, *, last: float,
) -> Float64[Tensor, " d"]:  # fmt: skip
    """Least squares over all examples, from zero; the learning rate falls to `last` of itself."""
    weights = torch.zeros(inputs.shape[1], dtype=torch.double, requires_grad=True)
    optimizer = rule([weights])
    schedule = ExponentialLR(optimizer, last ** (1 / steps))
    for _ in range(steps):
        with torch.no_grad():
            weights.grad = inputs.T @ (inputs @ weights - targets) / len(targets)
        optimizer.step()
        schedule.step()
    return weights.detach()


def smallest(
    inputs: Float64[Tensor, "n d"], targets: Float64[Tensor, " n"]
) -> Float64[Tensor, " d"]:
    """The solution of least norm: examples of one class weigh the same, so two equations do."""
    up, down = (targets > 0).sum().item(), (targets < 0).sum().item()
    # An example x of class y: x'x' over the classes is y y' + 2, and 1 or 5 more with itself.
    system = [[3 * up + 1, down], [up, 3 * down + 5]]
    weigh = torch.linalg.solve(
        torch.tensor(system, dtype=torch.double), torch.tensor([1.0, -1.0], dtype=torch.double)
    )
    return inputs.T @ torch.where(targets > 0, weigh[0], weigh[1])


def accuracy_on_new(weights: Float64[Tensor, " d"]) -> float:
    """On new examples, whose own coordinates no weight has been trained for."""
    shares = {1.0: LARGER, -1.0: 1 - LARGER}
    scores = {y: (y * weights[0] + weights[1:SHARED].sum()).item() for y in shares}
    return sum(share for y, share in shares.items() if y * scores[y] > 0)
