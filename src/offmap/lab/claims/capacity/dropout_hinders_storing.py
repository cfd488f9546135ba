"""Weight decay and input noise let a network store random labels; dropout stands in the way."""

import torch

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.capacity.regularization_not_sufficient import ON_RANDOM
from offmap.lab.claims.capacity.regularized import SCALES, accuracies


@claim(
    says="Of weight decay, input noise and dropout, at strengths that suit true labels, dropout "
    "alone hinders a network from storing random ones: with each of the other two it fits at least "
    "ten points more of them in the same number of steps.",
    effect="training accuracy on random labels, the lesser of weight decay and input noise, minus "
    "that of dropout",
    above=0.1,
    scales=SCALES,
    seconds={"smoke": 0.3, "desk": 2.0, "full": 110.0},
    paper=Paper("Arpit et al. 2017", "https://arxiv.org/abs/1706.05394"),
)
def dropout_hinders_storing(
    *, n: int, repeats: int, width: int, epochs: int, batch_size: int, rate: float,
    generator: torch.Generator,
) -> Trial:  # fmt: skip
    """Random labels, without and with each of three regularizers.

    Networks of two hidden layers learn digits whose labels were drawn once, from all ten alike,
    plainly and with each regularizer, from the same initial weights. Strengths are those at which
    true labels are learned as well as without, or better (see regularization_not_necessary), and
    training takes as many steps as there.
    """
    found = accuracies(
        ON_RANDOM,
        n=n, repeats=repeats, width=width, epochs=epochs, batch_size=batch_size, rate=rate,
        generator=generator,
    )  # fmt: skip
    known = found.known
    return Trial(
        effect=min(known["weight decay"], known["input noise"]) - known["dropout"],
        parts={f"{name}: random labels fitted": value for name, value in known.items()},
        figures=(found.stored,),
    )
