"""A network that fits a parity on thousands of strings is at chance on the next one."""

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.symbolic.networks import sources
from offmap.lab.claims.symbolic.parities import right, strings
from offmap.models.mlp import MLP
from offmap.run import Recipe, Split
from offmap.train import ensemble_trainer

FRESH = 2**15


@claim(
    says="A network that fits the parity of all 20 places on the strings it is shown is right "
    "about half of the others: between 48.5 and 51.5 %.",
    effect="Accuracy on strings not shown; mean over networks.",
    above=0.485,
    below=0.515,
    scales={
        "smoke": {"places": 20, "shown": 512, "width": 96, "epochs": 25, "networks": 1},
        "desk": {"places": 20, "shown": 2**12, "width": 256, "epochs": 25, "networks": 1},
        "full": {"places": 20, "shown": 2**14, "width": 512, "epochs": 60, "networks": 2},
    },
    seconds={"smoke": 0.3, "desk": 8, "full": 200},
    paper=Paper(
        "Shalev-Shwartz, Shamir and Shammah 2017, Failures of gradient-based deep learning",
        "https://arxiv.org/abs/1703.07950",
    ),
)
def parity(
    *, places: int, shown: int, width: int, epochs: int, networks: int, generator: torch.Generator
) -> Trial:
    """Two hidden ReLU layers, strings of -1 and 1, logistic loss, Adam.

    The control of the same shape learns the product of two places from as many strings.

    Args:
        places: Of the strings.
        shown: Strings to train on.
        width: Of both hidden layers.
        epochs: Passes over them.
        networks: Trained at once.
        generator: Source of strings and weights.
    """
    pair = torch.randperm(places, generator=generator)[:2]
    sets = [torch.arange(places)] * networks + [pair]
    x = strings(shown, places, generator=generator)
    fresh = strings(FRESH, places, generator=generator)
    splits = [Split(x, (x[:, of].prod(dim=1, keepdim=True) > 0).float()) for of in sets]
    recipe = Recipe(
        lambda: MLP(places, (width, width), 1),
        lambda weights: torch.optim.Adam(weights, lr=2e-3),
        binary_cross_entropy_with_logits, epochs, 64,
    )  # fmt: skip
    nets = ensemble_trainer(recipe)(splits, sources(len(splits), generator))
    known = [right(net, x, of) for net, of in zip(nets, sets, strict=True)]
    others = [right(net, fresh, of) for net, of in zip(nets, sets, strict=True)]
    return Trial(
        effect=sum(others[:-1]) / networks,
        parts={
            "accuracy on what is shown": sum(known[:-1]) / networks,
            "two places, on what is shown": known[-1],
            "two places, not shown": others[-1],
        },
    )
