"""Two layers of convolution, though linear, choose another classifier than one layer."""

import numpy as np
import torch

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.implicit_bias.circular import counts, l1_per_margin, least_l1, train
from offmap.lab.claims.implicit_bias.max_margin import hard_margin


@claim(
    says="A linear network of two full-width circular convolutions, trained on separable examples, "
    "ends at the classifier whose Fourier transform has the smallest l1 norm for its margin.",
    effect="l1 norm of the transform over the margin, relative to the smallest possible, less one; "
    "mean over several problems",
    below=0.05,
    scales={
        "smoke": {"problems": 8, "n": 8, "d": 16, "steps": 2500},
        "desk": {"problems": 8, "n": 16, "d": 32, "steps": 60_000},
        "full": {"problems": 8, "n": 32, "d": 64, "steps": 500_000},
    },
    seconds={"smoke": 0.2, "desk": 3.0, "full": 60.0},
    paper=Paper("Gunasekar et al. 2018", "https://arxiv.org/abs/1806.00468"),
)
def linear_conv_l1_dft(
    *, problems: int, n: int, d: int, steps: int, generator: torch.Generator
) -> Trial:
    """Normal inputs with random classes, exponential loss, a small random start.

    The smallest possible norm is known from both sides: by reweighted hard-margin programs, and by
    a point of the dual program. The hard-margin classifier (the end of a network of one layer), for
    comparison, has a larger l1 norm and a smaller l2 norm.
    """
    rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
    z = rng.standard_normal((problems, n, d))
    bounds = np.array([least_l1(each) for each in z])
    product, _ = train(z, 2, steps, rng)
    svm = np.stack([hard_margin(each)[0] for each in z])
    excess = l1_per_margin(product, z) / bounds[:, 0] - 1
    of_svm = l1_per_margin(np.fft.rfft(svm), z) / bounds[:, 0] - 1
    function = np.fft.irfft(product, d)
    margin = np.einsum("knd,kd->kn", z, function).min(axis=1)
    longer = np.linalg.norm(function, axis=1) / margin / np.linalg.norm(svm, axis=1) - 1
    return Trial(
        effect=float(excess.mean()),
        parts={
            "largest of the problems": float(excess.max()),
            "hard margin instead": float(of_svm.mean()),
            "l2 norm over that of the hard margin, less one": float(longer.mean()),
            "gap between the bounds of the smallest norm": float(
                (1 - bounds[:, 1] / bounds[:, 0]).max()
            ),
        },
        figures=(
            Curve(
                "Spectra of two linear classifiers",
                "rank of the frequency",
                "modulus over the largest",
                torch.arange(1, len(counts(d)) + 1, dtype=torch.double),
                {
                    "two convolutions": spectrum(product[0]),
                    "hard margin": spectrum(np.fft.rfft(svm[0])),
                },
            ),
        ),
    )


def spectrum(transform: np.ndarray) -> torch.Tensor:
    """Moduli in descending order, over the largest."""
    moduli = np.sort(np.abs(transform))[::-1]
    return torch.tensor(moduli / moduli[0])
