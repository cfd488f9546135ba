"""The pace of training a network, from the smallest eigenvalue of its tangent kernel."""

from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.worlds import sphere

PRECISION = 1e-20  # of the first loss: far enough that the slowest direction is all that is left


@claim(
    says="The training loss of a wide network falls at least by the factor 1 - rate lambda a step, "
    "with lambda the smallest eigenvalue of its tangent kernel on the training inputs.",
    effect="Largest loss over its bound, the first loss times the product of these factors, over "
    "all steps k >= 1.",
    below=1.0,
    scales={
        "smoke": {"n": 10, "dimension": 20, "width": 300, "steps": 2000},
        "desk": {"n": 30, "dimension": 50, "width": 1000, "steps": 5000},
        "full": {"n": 100, "dimension": 150, "width": 4000, "steps": 10000},
    },
    seconds={"smoke": 0.03, "desk": 0.3, "full": 20},
    paper=Paper("Liu, Zhu & Belkin 2022", "https://arxiv.org/abs/2003.00307"),
)
def pl_tangent_kernel(
    *, n: int, dimension: int, width: int, steps: int, generator: torch.Generator
) -> Trial:
    r"""A network of one wide tanh layer fits random labels of random inputs by gradient descent.

    For half the squared error with residual r and Jacobian J, the gradient is J'r, so

    .. math:: \tfrac12 |\nabla f|^2 = \tfrac12 r^T J J^T r \ge \lambda_{\min}(J J^T) f

    at every step: the condition of pl_condition, with the kernel of the moment; the step is 1 over
    the kernel's largest eigenvalue. The bound is of the right kind: the error along the slowest
    eigenvector falls by that very factor, its square by the square, as the last step shows.
    """
    inputs = dimension**0.5 * sphere(n, dimension, generator=generator)
    targets = 2.0 * torch.randint(2, (n,), generator=generator).double() - 1
    start = draw(dimension, width, generator)
    rate = 1 / torch.linalg.eigvalsh(kernel(start, inputs))[-1].item()
    losses, lowest, slowest = descend(start, inputs, targets, rate, steps)
    factor = 1 - rate * lowest
    bound = losses[0] * factor[:-1].cumprod(dim=0)
    k = torch.arange(len(losses), dtype=torch.double)
    shown = torch.linspace(1, len(k) - 1, 40).long().unique()
    return Trial(
        effect=(losses[1:] / bound).max().item(),
        parts={
            "last fall of the error along the slowest eigenvector / (1 - rate lambda)": (
                slowest / factor[-1].item()
            ),
            "rate times lambda": rate * lowest[-1].item(),
            "lambda at the end / at the start": (lowest[-1] / lowest[0]).item(),
            "steps": float(len(losses) - 1),
        },
        figures=(
            Curve(
                "Training loss and its bound", "step", "loss", k[shown],
                {"measured": losses[shown], "bound": bound[shown - 1]}, log_y=True,
            ),
        ),
    )  # fmt: skip


class Network(NamedTuple):
    """x -> out . tanh(inner x / sqrt(d)) / sqrt(width)."""

    inner: Float64[Tensor, "width d"]
    out: Float64[Tensor, " width"]


def draw(dimension: int, width: int, generator: torch.Generator) -> Network:
    """Standard normal weights: the parametrization of tangent kernels."""
    inner = torch.randn(width, dimension, generator=generator, dtype=torch.double)
    return Network(inner, torch.randn(width, generator=generator, dtype=torch.double))


def kernel(network: Network, inputs: Float64[Tensor, "n d"]) -> Float64[Tensor, "n n"]:
    """The tangent kernel J J' on the inputs."""
    width, dimension = network.inner.shape
    hidden = (inputs @ network.inner.mT / dimension**0.5).tanh()
    slope = (1 - hidden**2) * network.out
    return (hidden @ hidden.mT + slope @ slope.mT * (inputs @ inputs.mT) / dimension) / width


def descend(
    network: Network, inputs: Float64[Tensor, "n d"], targets: Float64[Tensor, " n"],
    rate: float, steps: int,
) -> tuple[Float64[Tensor, " k"], Float64[Tensor, " k"], float]:  # fmt: skip
    """Losses of gradient descent, the kernel's smallest eigenvalue at each step, and a last fall.

    The fall is that of the error along the eigenvector of this eigenvalue, in the last step.
    """
    width, dimension = network.inner.shape
    losses, lowest, errors = [], [], []
    for _ in range(steps):
        hidden = (inputs @ network.inner.mT / dimension**0.5).tanh()
        residual = hidden @ network.out / width**0.5 - targets
        losses.append(0.5 * residual.square().sum())
        errors.append(residual)
        lowest.append(torch.linalg.eigvalsh(kernel(network, inputs))[0])
        if losses[-1] < PRECISION * losses[0]:
            break
        slope = residual[:, None] * (1 - hidden**2) * network.out  # [n width]
        network = Network(
            network.inner - rate * slope.mT @ inputs / (width * dimension) ** 0.5,
            network.out - rate * residual @ hidden / width**0.5,
        )
    slowest = torch.linalg.eigh(kernel(network, inputs)).eigenvectors[:, 0]
    fall = (errors[-1] @ slowest) / (errors[-2] @ slowest)
    return torch.stack(losses), torch.stack(lowest), fall.item()
