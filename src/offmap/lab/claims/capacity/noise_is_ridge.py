"""Noise on a linear model is a quadratic penalty, whose size is known."""

import torch
from jaxtyping import Float64
from torch import Tensor

from offmap.figures import Scatter
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.worlds import gaussian

INPUT, DROPPED = 0.5, 0.3  # standard deviation of the noise; share of the inputs that is dropped
SCALED = (DROPPED / (1 - DROPPED)) ** 0.5  # noise on weights with the variance of that dropout
BLOCK = 500  # copies at a time
NOISES = ("noise on inputs", "dropout of inputs", "noise times weights", "noise plus weights")


@claim(
    says="On a linear model, noise on the inputs is a ridge penalty, dropout and multiplicative "
    "noise on the weights are one and the same ridge penalty scaled by the inputs' power, and "
    "additive noise on the weights is no regularizer at all.",
    effect="largest distance of a coefficient, over four kinds of noise, from its closed form, in "
    "standard errors",
    below=4.0,
    scales={
        "smoke": {"n": 20, "dimension": 5, "copies": 2_000},
        "desk": {"n": 40, "dimension": 10, "copies": 20_000},
        "full": {"n": 100, "dimension": 20, "copies": 100_000},
    },
    seconds={"smoke": 0.1, "desk": 1.1, "full": 55.0},
    paper=Paper("Bishop 1995", "https://doi.org/10.1162/neco.1995.7.1.108"),
)
def noise_is_ridge(*, n: int, dimension: int, copies: int, generator: torch.Generator) -> Trial:
    r"""Least squares on many noisy copies of a few examples, against the penalty in closed form.

    With X the n examples, D the diagonal of X'X, noise of variance s2 on the inputs, dropout of a
    share p, the expected loss is a quadratic, smallest at

    .. math:: w = (X^\top X + \Lambda)^{-1} X^\top y, \qquad
        \Lambda = n s^2 I, \quad \tfrac{p}{1-p} D, \quad s^2 D, \quad 0

    for noise on inputs, dropout, noise that multiplies weights, and noise that adds to them. The
    coefficients fitted on all copies together are compared with these, each in its standard error
    as an M-estimator (sandwich); noise on weights is drawn for each example of each copy.
    """
    inputs = gaussian(n, dimension, generator=generator)
    inputs = inputs * torch.linspace(0.5, 2.0, dimension, dtype=torch.double)
    truth = torch.ones(dimension, dtype=torch.double)
    targets = inputs @ truth + torch.randn(n, generator=generator, dtype=torch.double)
    gram = inputs.T @ inputs
    power = gram.diagonal().diag()
    penalties = (
        n * INPUT**2 * torch.eye(dimension, dtype=torch.double),
        DROPPED / (1 - DROPPED) * power, SCALED**2 * power, torch.zeros_like(gram),
    )  # fmt: skip
    plain = torch.linalg.solve(gram, inputs.T @ targets)
    parts, fits, laws, names, worst = {}, [], [], [], 0.0
    for name, penalty in zip(NOISES, penalties, strict=True):
        law = torch.linalg.solve(gram + penalty, inputs.T @ targets)
        fit, error = fitted(name, inputs, targets, copies, generator)
        away = ((fit - law) / error).abs().max().item()
        parts[f"{name}: largest distance in standard errors"] = away
        parts[f"{name}: distance from the closed form"] = ((fit - law).norm() / law.norm()).item()
        parts[f"{name}: distance from no noise"] = ((fit - plain).norm() / plain.norm()).item()
        worst = max(worst, away)
        fits.append(fit)
        laws.append(law)
        names += [name] * dimension
    figure = Scatter(
        "Coefficients fitted under noise", "closed form", "fitted", torch.cat(laws),
        torch.cat(fits), tuple(names),
    )  # fmt: skip
    return Trial(effect=worst, parts=parts, figures=(figure,))


def fitted(
    name: str, inputs: Float64[Tensor, "n d"], targets: Float64[Tensor, " n"], copies: int,
    generator: torch.Generator,
) -> tuple[Float64[Tensor, " d"], Float64[Tensor, " d"]]:  # fmt: skip
    """Weights at which the mean gradient over all noisy copies vanishes, and their errors.

    The gradient of a copy is A w - b for a matrix and a vector that the noise draws.
    """
    curvature, pull = [], []
    for _ in range(copies // BLOCK):
        seen, wanted = noisy(name, inputs.repeat(BLOCK, 1, 1), targets, generator)
        curvature.append(seen.transpose(1, 2) @ seen)
        pull.append((seen * wanted[..., None]).sum(dim=1))
    a, b = torch.cat(curvature), torch.cat(pull)
    mean = a.mean(dim=0)
    fit = torch.linalg.solve(mean, b.mean(dim=0))
    spread = torch.linalg.solve(mean, (a @ fit - b).T)
    return fit, spread.std(dim=1) / len(a) ** 0.5


def noisy(
    name: str, inputs: Float64[Tensor, "c n d"], targets: Float64[Tensor, " n"],
    generator: torch.Generator,
) -> tuple[Float64[Tensor, "c n d"], Float64[Tensor, "c n"]]:  # fmt: skip
    """What weights meet in noisy copies: noise on weights is moved to what they are multiplied by.

    Where it adds to weights, (w + e) x - y = w x - (y - e x): it is the target that is noisy.
    """
    noise = torch.randn(inputs.shape, generator=generator, dtype=torch.double)
    wanted = targets.expand(inputs.shape[:2])
    if name == "noise on inputs":
        return inputs + INPUT * noise, wanted
    if name == "dropout of inputs":
        kept = torch.rand(inputs.shape, generator=generator, dtype=torch.double) >= DROPPED
        return inputs * kept / (1 - DROPPED), wanted
    if name == "noise times weights":
        return inputs * (1 + SCALED * noise), wanted
    return inputs, wanted - INPUT * (noise * inputs).sum(dim=2)
