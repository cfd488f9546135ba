"""The popular form: convolutional networks, when linear, go to the smallest l1 norm of the DFT."""

import numpy as np
import torch

from offmap.figures import Scatter
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.implicit_bias.circular import l1_per_margin, least_l1, train


@claim(
    says="Linear networks of full-width circular convolutions of whatever depth, trained on "
    "separable examples, end at the smallest l1 norm of the Fourier transform for their margin: "
    "three layers as well.",
    effect="for three layers, l1 norm of the transform over the margin, relative to the smallest "
    "possible, less one; mean over several problems",
    below=0.05,
    scales={
        "smoke": {"problems": 8, "n": 8, "d": 16, "steps": 1200},
        "desk": {"problems": 8, "n": 16, "d": 32, "steps": 20_000},
        "full": {"problems": 8, "n": 32, "d": 64, "steps": 300_000},
    },
    seconds={"smoke": 0.3, "desk": 3.0, "full": 80.0},
    paper=Paper("Gunasekar et al. 2018", "https://arxiv.org/abs/1806.00468"),
    corrected="linear_conv_depth",
)
def linear_conv_any_depth(
    *, problems: int, n: int, d: int, steps: int, generator: torch.Generator
) -> Trial:
    """The problems of `linear_conv_l1_dft`, for networks of one, two and three layers."""
    rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
    z = rng.standard_normal((problems, n, d))
    least = np.array([least_l1(each)[0] for each in z])
    excess = {
        depth: l1_per_margin(train(z, depth, steps, rng).product, z) / least - 1
        for depth in (1, 2, 3)
    }
    return Trial(
        effect=float(excess[3].mean()),
        parts={f"depth {depth}": float(each.mean()) for depth, each in excess.items()}
        | {"depth 3, smallest of the problems": float(excess[3].min())},
        figures=(
            Scatter(
                "Excess of the l1 norm, problem by problem",
                "layers",
                "l1 norm over the smallest, less one",
                torch.tensor([1.0, 2.0, 3.0], dtype=torch.double).repeat_interleave(problems),
                torch.tensor(np.concatenate(list(excess.values()))),
            ),
        ),
    )
