"""With several classes the peak of double descent does not lie where its popular name says."""

import torch
from torch.nn.functional import one_hot

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.capacity.arms import CLASSES, draw

CUTOFF = 1e-10  # of singular values: a larger one would cut off the peak itself


@claim(
    says="Double descent peaks where a model has as many parameters as there are examples.",
    effect="number of fitted parameters at the largest squared test error, over the number of "
    "examples (ten classes)",
    above=0.8,
    below=1.2,
    scales={
        "smoke": {"n": 60, "repeats": 8, "widths": (3, 6, 12, 30, 48, 54, 60, 66, 72, 120, 300)},
        "desk": {
            "n": 200, "repeats": 8,
            "widths": (10, 20, 40, 80, 120, 160, 180, 190, 200, 210, 220, 240, 300, 500, 1000),
        },
        "full": {
            "n": 600, "repeats": 20,
            "widths": (30, 60, 120, 300, 480, 540, 570, 600, 630, 660, 720, 900, 1500, 3000),
        },
    },
    seconds={"smoke": 0.1, "desk": 0.9, "full": 54.0},
    paper=Paper("Belkin et al. 2019", "https://arxiv.org/abs/1812.11118"),
    corrected="double_descent_rf_digits",
)  # fmt: skip
def peak_at_as_many_parameters_as_examples(
    *, n: int, repeats: int, widths: tuple[int, ...], generator: torch.Generator
) -> Trial:
    """Least-norm fits of random ReLU features to the ten classes of digits, a fifth of them wrong.

    With k features and ten classes, 10 k numbers are fitted; but each class is a least-squares
    problem of its own, with k numbers for n examples. So it is k = n, ten parameters for each
    example, where the examples are only just fitted and the test error peaks.
    """
    problem = draw(n, repeats, generator=generator)
    drawn = torch.randint(CLASSES, problem.targets.shape, generator=generator)
    turned = torch.rand(problem.targets.shape, generator=generator) < 0.2
    wanted = one_hot(drawn.where(turned, problem.targets), CLASSES).double() - 1 / CLASSES
    truth = one_hot(problem.test_targets, CLASSES).double() - 1 / CLASSES
    inputs, held_out = problem.inputs.double(), problem.test_inputs.double()
    errors = []
    for width in widths:
        shape = (repeats, inputs.shape[2], width)
        weights = torch.randn(shape, generator=generator, dtype=torch.double)
        features, tested = (inputs @ weights).relu(), (held_out @ weights).relu()
        fit = torch.linalg.pinv(features, rtol=CUTOFF) @ wanted
        errors.append((tested @ fit - truth).square().mean(dim=(1, 2)).median())
    error = torch.stack(errors)
    peak = widths[int(error.argmax())]
    axis = torch.tensor(widths).double() * CLASSES / n
    return Trial(
        effect=CLASSES * peak / n,
        parts={
            "features at the peak, over examples": peak / n,
            "test error at the peak": error.max().item(),
            "least test error": error.min().item(),
        },
        figures=(
            Curve(
                "The peak of ten classes", "fitted parameters over examples",
                "squared test error", axis, {"": error}, log_x=True, log_y=True,
            ),
        ),
    )  # fmt: skip
