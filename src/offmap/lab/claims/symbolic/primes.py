"""A network does not learn which numbers are prime: it learns those that it was shown."""

import torch

from offmap.estimate import exact
from offmap.figures import Bars
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.symbolic.prime_numbers import Training, ask, primes_below, scores
from offmap.numerics.ranking import auroc


@claim(
    says="Among numbers without the factors 2, 3 and 5, a network trained to tell primes ranks "
    "those that it was not shown no better than chance: area under the ROC curve 0.47 to 0.54.",
    effect="Area under the ROC curve, on numbers not shown, of a network trained to tell primes.",
    above=0.47,
    below=0.54,
    scales={
        "smoke": {"places": 13, "training": Training((64, 64), 2e-3, 64, 10), "networks": 2},
        "desk": {"places": 16, "training": Training((256, 256), 2e-3, 64, 30), "networks": 1},
        "full": {"places": 16, "training": Training((512, 512), 2e-3, 64, 60), "networks": 2},
    },
    seconds={"smoke": 0.5, "desk": 25, "full": 300},
    paper=Paper(
        "Shalev-Shwartz, Shamir and Shammah 2017, Failures of gradient-based deep learning",
        "https://arxiv.org/abs/1703.07950",
    ),
)
def primes(*, places: int, training: Training, networks: int, generator: torch.Generator) -> Trial:
    """All numbers below 2^13 (2^16 beyond the smallest scale), in binary, coded as -1 and 1.

    Seven tenths are shown, chosen for each network. Two controls of the same shape learn, on the
    same numbers, questions that binary places answer: whether the remainder by 16 is at least 8,
    and whether the number is in the upper third. The score that knows only that primes grow rarer,
    -n, is among the parts.

    Args:
        places: Of the numbers.
        training: How networks are trained.
        networks: Asked for primes, each shown numbers of its own choice.
        generator: Source of choices and weights.
    """
    numbers = torch.arange(2**places)
    numbers = numbers[torch.gcd(numbers, torch.tensor(30)) == 1]
    prime = primes_below(2**places)[numbers]
    remainder, large = numbers % 16 >= 8, numbers > 2**places * 2 // 3
    answers = [prime] * networks + [remainder, large]
    asked = ask(numbers, answers, places, training, generator=generator)
    areas = [
        auroc(scores(one.network, numbers[one.held], places), answer[one.held]).item()
        for one, answer in zip(asked, answers, strict=True)
    ]
    shown, held = asked[0].shown, asked[0].held
    known = scores(asked[0].network, numbers[shown], places)
    parts = {
        "primes, not shown": sum(areas[:networks]) / networks,
        "remainder by 16, not shown": areas[-2],
        "upper third, not shown": areas[-1],
        "primes, by -n alone": auroc(-numbers[held], prime[held]).item(),
    }
    figure = Bars(
        "What is learned about numbers not shown", "area under the ROC curve",
        {name: exact(value) for name, value in parts.items()},
    )  # fmt: skip
    return Trial(
        effect=parts["primes, not shown"],
        parts=parts
        | {
            "primes, shown": auroc(known, prime[shown]).item(),
            "share that is prime": prime.double().mean().item(),
        },
        figures=(figure,),
    )
