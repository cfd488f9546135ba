"""Does a network only store the primes that it was shown?"""

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.symbolic.prime_numbers import (
    Training,
    ask,
    gap_closed,
    primes_below,
    scores,
)
from offmap.numerics.ranking import auroc


@claim(
    says="No manifold, only a hash table: of primes a network stores those that it is shown. On "
    "other numbers it closes less than a tenth of the gap between the rule that looks at the last "
    "binary place alone and a perfect ranking.",
    effect="(area under the ROC curve of the network - that of the rule) / (1 - that of the rule), "
    "on numbers not shown.",
    below=0.1,
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
    corrected="primes_multiples_of_three",
)
def primes_hash_table(*, places: int, training: Training, generator: torch.Generator) -> Trial:
    """All numbers of so many places, in binary, coded as -1 and 1; seven tenths are shown.

    That even numbers are not prime is read off the last place, and half of all numbers are even:
    this rule alone has an area near 0.78, and answering "no" to everything is right nine times in
    ten. What the network adds is counted.

    Args:
        places: Of the numbers.
        training: How the network is trained.
        generator: Source of the choice of numbers and of weights.
    """
    numbers, prime = torch.arange(2**places), primes_below(2**places)
    (asked,) = ask(numbers, [prime], places, training, generator=generator)
    held, held_prime = numbers[asked.held], prime[asked.held]
    score = scores(asked.network, held, places)
    return Trial(
        effect=gap_closed(score, held, held_prime),
        parts={
            "area, network": auroc(score, held_prime).item(),
            "area, last place alone": auroc(held % 2, held_prime).item(),
            "accuracy, network": ((score > 0) == held_prime).double().mean().item(),
            'accuracy of "no"': 1 - held_prime.double().mean().item(),
        },
    )
