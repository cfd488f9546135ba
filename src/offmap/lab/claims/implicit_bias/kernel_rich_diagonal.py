"""The initial scale of a diagonal linear network moves its bias from the l2 to the l1 norm."""

import numpy as np
import torch

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.implicit_bias.diagonal import flow, smallest, smallest_l1

SCALES = (2.0, 0.5, 0.1, 0.01, 0.001)


@claim(
    says="Gradient flow on coefficients u^2 - v^2 from u = v = alpha ends at the exact fit that is "
    "smallest in a potential of alpha: the l2 norm for large alpha, the l1 norm for small alpha.",
    effect="largest relative distance of the end of the flow from the smallest fit, over initial "
    "scales from 2 to 0.001",
    below=1e-6,
    scales={
        "smoke": {"n": 12, "d": 40, "sparse": 3, "time": 1e3},
        "desk": {"n": 40, "d": 150, "sparse": 8, "time": 1e4},
        "full": {"n": 80, "d": 400, "sparse": 12, "time": 1e5},
    },
    seconds={"smoke": 0.2, "desk": 0.6, "full": 20.0},
    paper=Paper("Woodworth et al. 2020", "https://arxiv.org/abs/2002.09277"),
)
def kernel_rich_diagonal(
    *, n: int, d: int, sparse: int, time: float, generator: torch.Generator
) -> Trial:
    r"""Noiseless targets of a sparse truth; the flow is integrated, the potential minimized.

    The potential is :math:`\sum_i q(\beta_i / \alpha^2)` with
    :math:`q(z) = 2 - \sqrt{4 + z^2} + z \sinh^{-1}(z/2)`: quadratic for small z, |z| log |z| for
    large. Norms in excess of the smallest possible one (of the pseudoinverse solution for l2, of
    a linear program for l1) tell which of the two an initial scale is near.
    """
    rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
    x, truth = rng.standard_normal((n, d)), np.zeros(d)
    truth[:sparse] = rng.standard_normal(sparse)
    y = x @ truth
    ends = {a: flow(x, y, a, np.array([time / 10, time]))[-1] for a in SCALES}
    fits = dict(zip(SCALES, smallest(x, y, np.log(SCALES).tolist()), strict=True))
    gaps = {a: float(np.linalg.norm(ends[a] - fits[a]) / np.linalg.norm(fits[a])) for a in SCALES}
    least_one = np.abs(smallest_l1(x, y)[0]).sum()
    least_two = np.linalg.norm(np.linalg.pinv(x) @ y)
    one = {a: float(np.abs(end).sum() / least_one - 1) for a, end in ends.items()}
    two = {a: float(np.linalg.norm(end) / least_two - 1) for a, end in ends.items()}
    parts = {}
    for a in SCALES:
        parts |= {f"alpha {a:g}: excess l1": one[a], f"alpha {a:g}: excess l2": two[a]}
    return Trial(
        effect=max(gaps.values()),
        parts=parts
        | {"largest residual": max(float(np.abs(x @ e - y).max()) for e in ends.values())},
        figures=(
            Curve(
                "Initial scale moves the bias from l2 to l1",
                "initial scale alpha",
                "norm over the smallest, less one",
                torch.tensor(SCALES, dtype=torch.double),
                {
                    name: torch.tensor(list(excess.values()), dtype=torch.double)
                    for name, excess in (("l1 norm", one), ("l2 norm", two))
                },
                log_x=True,
            ),
        ),
    )
