"""Small batches, at the same number of steps, move class boundaries away from the data."""

from functools import partial

import torch
from torch.optim import SGD

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.capacity.arms import Arm, draw
from offmap.lab.claims.capacity.smoothing import EFFECT, LINE, compared
from offmap.lab.claims.capacity.training import Networks, train


@claim(
    says="Small batches make a network smoother: with stochastic gradient descent on 8 examples at "
    "a time, for as many steps as with all examples, the nearest class boundary lies at least a "
    "twentieth farther from held-out digits.",
    effect=EFFECT.replace("plain training", "descent on all examples"),
    above=LINE,
    scales={
        "smoke": {"n": 100, "repeats": 4, "width": 64, "steps": 500, "rate": 0.3},
        "desk": {"n": 300, "repeats": 4, "width": 128, "steps": 750, "rate": 0.2},
        "full": {"n": 300, "repeats": 16, "width": 256, "steps": 4000, "rate": 0.1},
    },
    seconds={"smoke": 0.9, "desk": 4.2, "full": 290.0},
    paper=Paper("Smith et al. 2021", "https://arxiv.org/abs/2101.12176"),
)
def small_batches_smooth(
    *, n: int, repeats: int, width: int, steps: int, rate: float, generator: torch.Generator
) -> Trial:
    """Two trainings, side by side.

    Pairs of multilayer perceptrons on a few hundred digits, from the same weights, trained for
    the same number of steps of the same size: one on all examples at each step, one on 8. At the
    same number of epochs instead, small batches make more steps, scores grow larger, and the
    comparison is of training times. The distance to the boundary is the margin of the scores over
    the slope of the margin, so that it does not matter how large the scores are.
    """
    problem = draw(n, repeats, generator=generator)
    seed = int(torch.randint(2**62, (), generator=generator))

    def trained(batch_size: int) -> Networks:
        return train(
            problem, [Arm()], hidden=(width, width), epochs=round(steps * batch_size / n),
            batch_size=batch_size, rule=partial(SGD, lr=rate),
            generator=torch.Generator().manual_seed(seed),
        )  # fmt: skip

    all_at_once, few = trained(n), trained(8)
    both = Networks(
        [
            (torch.cat([w, other_w]), torch.cat([b, other_b]))
            for (w, b), (other_w, other_b) in zip(all_at_once.layers, few.layers, strict=True)
        ],
        torch.cat([all_at_once.losses, few.losses], dim=1),
        torch.cat([all_at_once.hits, few.hits], dim=1),
        arms=2,
    )
    return compared(["all examples", "8 at a time"], both, problem)
