"""A network that is asked for primes finds out multiples of three."""

import torch

from offmap.estimate import exact
from offmap.figures import Bars
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.symbolic.prime_numbers import (
    Training,
    ask,
    gap_closed,
    multiples_area,
    primes_below,
    scores,
)  # fmt: skip

FACTORS = (3, 5, 7, 11)


@claim(
    says="A network trained on seven tenths of all numbers to tell primes learns the beginning of "
    "the sieve: of odd numbers not shown that are not prime, it takes multiples of three for the "
    "less likely primes.",
    effect="Area under the ROC curve of the network's score for not being a multiple of 3, among "
    "odd numbers not shown that are not prime.",
    above=0.6,
    scales={
        "smoke": {"places": 13, "training": Training((256,), 2e-2, 256, 45)},
        "desk": {"places": 16, "training": Training((128, 128), 4e-3, 256, 40)},
        "full": {"places": 16, "training": Training((128, 128), 4e-3, 256, 200)},
    },
    seconds={"smoke": 0.7, "desk": 9, "full": 60},
    paper=Paper(
        "Shalev-Shwartz, Shamir and Shammah 2017, Failures of gradient-based deep learning",
        "https://arxiv.org/abs/1703.07950",
    ),
)
def primes_multiples_of_three(
    *, places: int, training: Training, generator: torch.Generator
) -> Trial:
    """Numbers in binary, coded as -1 and 1.

    The powers of two are 1 and -1 by 3 in turn, so the remainder by 3 is a function of one
    weighted sum of the places, which a network can represent; nothing says that training finds
    it. The same area for 5, 7 and 11 is among the parts: a score that knows of 3 alone is below
    0.5 there, for of what is not prime, another factor divides what 3 does not. With the factors
    2, 3 and 5 taken from the data nothing is left that is learned: `primes`.

    Args:
        places: Of the numbers.
        training: How the network is trained.
        generator: Source of the choice of numbers and of weights.
    """
    numbers, prime = torch.arange(2**places), primes_below(2**places)
    (asked,) = ask(numbers, [prime], places, training, generator=generator)
    held, held_prime = numbers[asked.held], prime[asked.held]
    score = scores(asked.network, held, places)
    areas = {
        f"multiples of {factor}": multiples_area(score, held, held_prime, factor)
        for factor in FACTORS
    }
    figure = Bars(
        "Factors that the network sees", "area under the ROC curve",
        {name: exact(area) for name, area in areas.items()},
    )  # fmt: skip
    return Trial(
        effect=areas["multiples of 3"],
        parts=areas | {"share of the gap closed": gap_closed(score, held, held_prime)},
        figures=(figure,),
    )
