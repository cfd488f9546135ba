"""A network that learns to copy from even numbers cannot copy odd ones."""

import torch

from offmap.estimate import exact
from offmap.figures import Bars
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.symbolic.identity import binary, copied, numbers, recipe
from offmap.lab.claims.symbolic.networks import again, first_layer, sources
from offmap.run import Split
from offmap.train import ensemble_trainer


@claim(
    says="A fully connected network that is shown a tenth of the even numbers in binary learns to "
    "copy the other even numbers, and no odd one.",
    effect="Share of the even numbers never shown that come out right, less that of the odd ones, "
    "over all numbers of one length; the least over lengths.",
    above=0.9,
    scales={
        "smoke": {"epochs": {10: 150}, "networks": 3},
        "desk": {"epochs": {10: 500, 16: 20}, "networks": 5},
        "full": {"epochs": {10: 3000, 16: 100}, "networks": 10},
    },
    seconds={"smoke": 0.3, "desk": 1.7, "full": 60},
    paper=Paper(
        "Marcus 1998, Rethinking eliminative connectionism",
        "https://doi.org/10.1006/cogp.1998.0694",
    ),
)
def marcus_identity(*, epochs: dict[int, int], networks: int, generator: torch.Generator) -> Trial:
    """One input and one output for each binary place, one hidden ReLU layer, cross-entropy, Adam.

    All numbers below 2^10, and of 16 places at the larger scales, are looked at. The last place
    is 0 in all that is shown, so the gradient of its outgoing weights is exactly zero: how far
    they moved is among the parts, and must be 0 to the last bit. The last place of the answer has
    a constant target, which its bias alone can meet.

    Args:
        epochs: Passes over what is shown, for each length of the numbers.
        networks: Trained at once, on the same numbers.
        generator: Source of numbers and weights.
    """
    parts: dict[str, float] = {}
    for places, passes in epochs.items():
        parts |= _copying(places, passes, networks, generator)
    kinds = ("even", "odd")
    bars = {
        f"{kind}, {n} places": exact(parts[f"{kind}, {n} places"]) for n in epochs for kind in kinds
    }
    return Trial(
        effect=min(parts[f"even, {n} places"] - parts[f"odd, {n} places"] for n in epochs),
        parts=parts,
        figures=(Bars("Numbers never shown that are copied", "share right", bars),),
    )


def _copying(
    places: int, epochs: int, networks: int, generator: torch.Generator
) -> dict[str, float]:
    """What networks do with even and odd numbers of one length."""
    known = numbers(places, generator=generator)
    shown, even, odd = (binary(part, places) for part in known)
    seeds = sources(networks, generator)
    fresh = ensemble_trainer(recipe(places, 0))(Split(shown, shown), again(seeds))
    found = ensemble_trainer(recipe(places, epochs))(Split(shown, shown), seeds)
    moved = [_outgoing(a) - _outgoing(b) for a, b in zip(found, fresh, strict=True)]
    with torch.no_grad():
        last = torch.stack([net(odd)[:, -1].sigmoid() for net in found])
        others = torch.stack(
            [((net(odd) > 0) == (odd > 0))[:, :-1].all(dim=1).double() for net in found]
        )
    return {
        f"even, {places} places": copied(found, even, even),
        f"odd, {places} places": copied(found, odd, odd),
        f"odd but for the last place, {places} places": others.mean().item(),
        f"probability of the last one, {places} places": last.mean().item(),
        f"largest change of the last place's weights, {places} places": max(
            change.abs().max().item() for change in moved
        ),
    }


def _outgoing(network: torch.nn.Module) -> torch.Tensor:
    """The weights that leave the last place."""
    return first_layer(network).weight.detach()[:, -1]
