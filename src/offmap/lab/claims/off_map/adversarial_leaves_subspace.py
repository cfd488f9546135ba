"""The popular picture of adversarial examples: pushed off the manifold of the data."""

import torch

from offmap.estimate import Estimate, replicates
from offmap.figures import Bars
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.off_map.subspace import attack, train, world


@claim(
    says="Adversarial changes leave the manifold: of networks trained on a linear subspace, more "
    "than 70 % of the squared length of an L2 attack's change is orthogonal to it.",
    effect="Mean share of the squared length that is orthogonal, networks trained with Adam.",
    above=0.7,
    scales={
        "smoke": {"networks": 4, "subspace": 5, "dimension": 50, "width": 32, "n": 128,
                  "updates": 60},
        "desk": {"networks": 12, "subspace": 10, "dimension": 100, "width": 128, "n": 2000,
                 "updates": 600},
        "full": {"networks": 32, "subspace": 10, "dimension": 100, "width": 256, "n": 10000,
                 "updates": 2000},
    },
    seconds={"smoke": 0.6, "desk": 12.0, "full": 250.0},
    paper=Paper("Stutz, Hein & Schiele 2019", "https://arxiv.org/abs/1812.00740"),
    corrected="off_subspace_gradient",
)  # fmt: skip
def adversarial_leaves_subspace(
    *, networks: int, subspace: int, dimension: int, width: int, n: int, updates: int,
    generator: torch.Generator,
) -> Trial:  # fmt: skip
    """Attacks on networks of two hidden layers, each in a world of its own.

    A tenth of all directions lie in the subspace. An attack of radius 0.3 (the data's is about the
    root of the subspace's dimension) starts at test points that are classified rightly.
    Training strengthens what it can see; the rest stays as it was drawn, or nearly. Control: the
    same networks untrained, whose attacks do leave the subspace, as random directions do.
    """
    worlds = [world(subspace, dimension, generator) for _ in range(networks)]
    shares: dict[str, Estimate] = {}
    for name, optimizer, steps in (
        ("Adam", "Adam", updates), ("SGD", "SGD", updates), ("untrained", "SGD", 0),
    ):  # fmt: skip
        models = train(worlds, [n] * networks, width, steps, optimizer, generator)
        rows = []
        for model, place in zip(models, worlds, strict=True):
            test = place.draw(100, generator).inputs
            with torch.no_grad():
                right = model(test).argmax(dim=1) == place.classes(test)
            change, _ = attack(model, place, test[right], 0.3, lambda slope: slope)
            off = place.off(change).square().sum(dim=1) / change.square().sum(dim=1)
            rows.append(off.mean())
        shares[name] = replicates(torch.stack(rows))
    return Trial(
        effect=shares["Adam"].value,
        parts={
            "with SGD": shares["SGD"].value,
            "untrained": shares["untrained"].value,
            "of a random direction": 1 - subspace / dimension,
        },
        figures=(Bars("Share of a change off the subspace", "share", shares),),
    )
