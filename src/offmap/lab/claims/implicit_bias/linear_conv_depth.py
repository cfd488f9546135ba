"""The depth of a linear convolutional network sets the norm that it makes small."""

import numpy as np
import torch
from jaxtyping import Float

from offmap.figures import Scatter
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.implicit_bias.circular import Trained, counts, train

DEPTHS = (1, 2, 3)


@claim(
    says="A linear network of L full-width circular convolutions, trained on separable examples, "
    "ends at a stationary point of the 2/L quasi-norm of its Fourier transform: l2 for one layer, "
    "l1 for two.",
    effect="share of the margin that is at other frequencies than stationarity says; the largest "
    "of one, two and three layers, mean over several problems",
    below=0.05,
    scales={
        "smoke": {"problems": 8, "n": 8, "d": 16, "steps": 6000},
        "desk": {"problems": 8, "n": 8, "d": 16, "steps": 60_000},
        "full": {"problems": 8, "n": 16, "d": 32, "steps": 500_000},
    },
    seconds={"smoke": 0.4, "desk": 7.0, "full": 120.0},
    paper=Paper("Gunasekar et al. 2018", "https://arxiv.org/abs/1806.00468"),
)
def linear_conv_depth(
    *, problems: int, n: int, d: int, steps: int, generator: torch.Generator
) -> Trial:
    r"""Normal inputs with random classes, exponential loss, a small random start.

    With c the transform of the linear function and g that of the examples, each weighted by its
    share in the loss, frequency k contributes :math:`Re(g_k \bar c_k)` to the margin.
    Stationarity of :math:`\sum_k |c_k|^{2/L}` for a given margin says that these contributions go
    like :math:`|c_k|^{2/L}`. Their distance is half the sum of absolute differences (of shares);
    for comparison, from what the l1 norm says. One and two layers take 1/9 and 4/9 of the steps.
    """
    rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
    z = rng.standard_normal((problems, n, d))
    networks = {depth: train(z, depth, steps * depth**2 // 9, rng) for depth in DEPTHS}
    own = {depth: misplaced(each, 2 / depth, d).mean() for depth, each in networks.items()}
    one = {depth: misplaced(each, 1.0, d).mean() for depth, each in networks.items()}
    deep = networks[3]
    measured, said = contributions(deep, 2 / 3, d)
    return Trial(
        effect=float(max(own.values())),
        parts={f"{depth} layers": float(value) for depth, value in own.items()}
        | {f"{depth} layers, were it l1": float(one[depth]) for depth in (1, 3)},
        figures=(
            Scatter(
                "Three layers: where the margin comes from",
                "share said by the 2/3 quasi-norm",
                "share of the margin at a frequency",
                torch.tensor(said.ravel()),
                torch.tensor(measured.ravel()),
            ),
        ),
    )


def contributions(
    trained: Trained, exponent: float, d: int
) -> tuple[Float[np.ndarray, "k f"], Float[np.ndarray, "k f"]]:
    """Shares of the margin by frequency: as they are, and as stationarity says."""
    measured = np.real(trained.ascent * np.conj(trained.product)) * counts(d)
    said = np.abs(trained.product) ** exponent * counts(d)
    return measured / measured.sum(axis=1, keepdims=True), said / said.sum(axis=1, keepdims=True)


def misplaced(trained: Trained, exponent: float, d: int) -> Float[np.ndarray, " k"]:
    """Half the sum of absolute differences between the two."""
    measured, said = contributions(trained, exponent, d)
    return np.abs(measured - said).sum(axis=1) / 2
