"""Has a network that is right about nine in ten numbers learned something about primes?"""

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.symbolic.prime_numbers import asked, primes_below, scores
from offmap.numerics.ranking import auroc


@claim(
    says="A network trained on all sorts of numbers, and right about most of those it was not "
    "shown, has learned something about primes: it closes at least a tenth of the gap between the "
    "rule that looks at the last binary place alone and a perfect ranking.",
    effect="(area under the ROC curve of the network - that of the rule) / (1 - that of the rule), "
    "on numbers not shown.",
    above=0.1,
    scales={
        "smoke": {"places": 11, "width": 96, "epochs": 14, "networks": 3},
        "desk": {"places": 16, "width": 256, "epochs": 12, "networks": 1},
        "full": {"places": 16, "width": 512, "epochs": 60, "networks": 2},
    },
    seconds={"smoke": 0.4, "desk": 30, "full": 300},
    paper=Paper(
        "Shalev-Shwartz, Shamir and Shammah 2017, Failures of gradient-based deep learning",
        "https://arxiv.org/abs/1703.07950",
    ),
    corrected="primes",
)
def primes_learned(
    *, places: int, width: int, epochs: int, networks: int, generator: torch.Generator
) -> Trial:
    """As `primes`, with all numbers in place of those without small factors.

    Half of all numbers are even, and hardly any even number is prime: that alone makes an accuracy
    near nine tenths, and is read off the last place. The accuracy of answering "no" to everything
    is among the parts.

    Args:
        places: Of the numbers.
        width: Of both hidden layers.
        epochs: Passes over what is shown.
        networks: Each shown numbers of its own choice.
        generator: Source of choices and weights.
    """
    numbers, prime = torch.arange(2**places), primes_below(2**places)
    nets, _, held = asked(
        numbers, [prime] * networks, places, width=width, epochs=epochs, generator=generator
    )
    right, area, rule = [], [], []
    for net, rows in zip(nets, held, strict=True):
        logits = scores(net, numbers[rows], places)
        right.append(((logits > 0) == prime[rows]).double().mean())
        area.append(auroc(logits, prime[rows]))
        rule.append(auroc(numbers[rows] % 2, prime[rows]))
    network, last = torch.stack(area).mean().item(), torch.stack(rule).mean().item()
    return Trial(
        effect=(network - last) / (1 - last),
        parts={
            "area, network": network,
            "area, last place alone": last,
            "accuracy, network": torch.stack(right).mean().item(),
            'accuracy of "no"': 1 - prime.double().mean().item(),
        },
    )
