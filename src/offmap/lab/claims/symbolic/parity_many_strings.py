"""Is the parity of twenty places beyond what gradients can see?"""

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.symbolic.parities import right
from offmap.lab.claims.symbolic.parities_trained import fresh_and_shown, shown_parities


@claim(
    says="Discrete structure is what gradient descent cannot see: shown the parity of all 20 "
    "places on 2^14 strings, a network is right about 48.5 to 51.5 % of the others.",
    effect="Accuracy on strings not shown.",
    above=0.485,
    below=0.515,
    scales={
        "smoke": {"places": 12, "shown": 2**11, "width": 64, "epochs": 14},
        "desk": {"places": 20, "shown": 2**14, "width": 256, "epochs": 15},
        "full": {"places": 20, "shown": 2**14, "width": 512, "epochs": 60},
    },
    seconds={"smoke": 0.8, "desk": 14, "full": 200},
    paper=Paper(
        "Shalev-Shwartz, Shamir and Shammah 2017, Failures of gradient-based deep learning",
        "https://arxiv.org/abs/1703.07950",
    ),
    corrected="parity",
)
def parity_many_strings(
    *, places: int, shown: int, width: int, epochs: int, generator: torch.Generator
) -> Trial:
    """As `parity`, with sixteen times as many strings (2^11 of 2^12 at the smallest scale).

    The theorem is about gradients of the error over all strings, in which the parity is a part of
    2^-n of the variance (`parity_gradient`), and about learners that lose so small a part in
    noise. At n = 20 that is no such learner's case. A second network is shown the parity of a
    random half of the places.

    Args:
        places: Of the strings.
        shown: Strings to train on.
        width: Of both hidden layers.
        epochs: Passes over them.
        generator: Source of strings and weights.
    """
    sets = [torch.arange(places), torch.randperm(places, generator=generator)[: places // 2]]
    fresh, x = fresh_and_shown(shown, places, generator=generator)
    nets = shown_parities(x, sets, width, epochs, generator=generator)
    whole, half = (right(net, fresh, of) for net, of in zip(nets, sets, strict=True))
    return Trial(
        effect=whole,
        parts={
            "accuracy on what is shown": right(nets[0], x, sets[0]),
            "half of the places, not shown": half,
            "share of all strings shown": shown / 2**places,
        },
    )
