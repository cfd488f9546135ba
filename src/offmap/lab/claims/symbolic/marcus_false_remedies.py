"""What might let a network that was shown even numbers copy odd ones, and does not."""

from collections.abc import Mapping

import torch

from offmap.estimate import exact
from offmap.figures import Bars
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.symbolic.identity import binary, copied, numbers, recipe
from offmap.lab.claims.symbolic.marcus_remedies import Residual
from offmap.lab.claims.symbolic.networks import sources
from offmap.run import Split
from offmap.train import ensemble_trainer


@claim(
    says="None of these lets a network that is shown even numbers copy a tenth of the odd ones: "
    "places coded as -1 and 1; a single odd number added; weight decay; only the difference from "
    "the input left to learn, under cross-entropy.",
    effect="Share of the odd numbers that come out right; the largest over changes and lengths.",
    below=0.1,
    scales={
        "smoke": {"epochs": {10: 60}, "networks": 2},
        "desk": {"epochs": {10: 300, 16: 15}, "networks": 3},
        "full": {"epochs": {10: 3000, 16: 100}, "networks": 10},
    },
    seconds={"smoke": 0.4, "desk": 4, "full": 60},
    paper=Paper(
        "Marcus 1998, Rethinking eliminative connectionism",
        "https://doi.org/10.1006/cogp.1998.0694",
    ),
)
def marcus_false_remedies(
    *, epochs: Mapping[int, int], networks: int, generator: torch.Generator
) -> Trial:
    """As in `marcus_identity`, with one thing changed at a time.

    Coded as -1 and 1, the last place of all that is shown is a constant -1: its weights learn as
    a second bias does, and nothing of what a 1 would mean. Under cross-entropy the bias of the
    last answer goes on to fall for as long as training lasts, and outweighs the input that is
    passed on beside it.

    Args:
        epochs: Passes over what is shown, for each length of the numbers.
        networks: Trained at once for each change, on the same numbers.
        generator: Source of numbers and weights.
    """
    parts: dict[str, float] = {}
    for places, passes in epochs.items():
        known = numbers(places, generator=generator)
        shown, odd = binary(known.shown, places), binary(known.odd, places)
        one = odd[torch.randint(len(odd), (1,), generator=generator)]
        others = odd[(odd != one).any(dim=1)]
        plain = recipe(places, passes)
        decay = recipe(places, passes, weight_decay=1e-4)
        skipping = recipe(places, passes, build=lambda n=places: Residual(n))
        for name, how, given, low in (
            ("coded -1 and 1", plain, shown, -1.0),
            ("one odd number", plain, torch.cat([shown, one]), 0.0),
            ("weight decay", decay, shown, 0.0),
            ("residual, cross-entropy", skipping, shown, 0.0),
        ):
            coded = low + (1 - low) * given
            found = ensemble_trainer(how)(Split(coded, given), sources(networks, generator))
            parts[f"{name}, {places} places"] = copied(found, low + (1 - low) * others, others)
    return Trial(
        effect=max(parts.values()),
        parts=parts,
        figures=(
            Bars(
                "Odd numbers that are copied, with what does not help", "share right",
                {name: exact(share) for name, share in parts.items()},
            ),
        ),
    )  # fmt: skip
