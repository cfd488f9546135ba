"""A network that fits a parity on a thousand strings is at chance on the next one."""

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.symbolic.parities import right
from offmap.lab.claims.symbolic.parities_trained import fresh_and_shown, shown_parities


@claim(
    says="From a thousand strings of 20 places, where 30 are enough for elimination, a network "
    "that fits the parity of all places on every one of them has learned nothing: it is right "
    "about 48.5 to 51.5 % of the others.",
    effect="Accuracy on strings not shown.",
    above=0.485,
    below=0.515,
    scales={
        "smoke": {"places": 20, "shown": 512, "width": 96, "epochs": 25},
        "desk": {"places": 20, "shown": 1024, "width": 256, "epochs": 25},
        "full": {"places": 20, "shown": 1024, "width": 512, "epochs": 100},
    },
    seconds={"smoke": 0.45, "desk": 1.7, "full": 20},
    paper=Paper(
        "Shalev-Shwartz, Shamir and Shammah 2017, Failures of gradient-based deep learning",
        "https://arxiv.org/abs/1703.07950",
    ),
)
def parity(
    *, places: int, shown: int, width: int, epochs: int, generator: torch.Generator
) -> Trial:
    """Two hidden ReLU layers, strings of -1 and 1, logistic loss, Adam.

    The control of the same shape learns the product of two places from the same strings. What
    elimination does is `parity_elimination`, what more strings do `parity_many_strings`.

    Args:
        places: Of the strings.
        shown: Strings to train on.
        width: Of both hidden layers.
        epochs: Passes over them.
        generator: Source of strings and weights.
    """
    sets = [torch.arange(places), torch.randperm(places, generator=generator)[:2]]
    fresh, x = fresh_and_shown(shown, places, generator=generator)
    nets = shown_parities(x, sets, width, epochs, generator=generator)
    whole, pair = (right(net, fresh, of) for net, of in zip(nets, sets, strict=True))
    return Trial(
        effect=whole,
        parts={
            "accuracy on what is shown": right(nets[0], x, sets[0]),
            "two places, not shown": pair,
        },
    )
