"""Is a guard a defense? Oblivious and adaptive attacks on every score, and strangers let in.

    python benchmarks/guard_attack.py
    python benchmarks/guard_attack.py --scores energy,input_neighbors --radius 0.1

On the built-in digits: guards at a false-alarm rate of 5 %, calibrated on half of the test data and
attacked on the other half, in the ball of the largest change of a pixel (of a range of 0 to 1).
Prints Markdown.
"""

import argparse
from collections.abc import Iterator, Sequence

import torch

from offmap.catalog import scores as all_scores
from offmap.demo import digits
from offmap.estimate import Estimate
from offmap.guard.attack import attack, infiltrate
from offmap.guard.fit import fit_guard
from offmap.guard.guard import Guard
from offmap.guard.strangers import FAMILIES
from offmap.run import Split

ALPHA = 0.05
SCORES = (
    "max_softmax", "energy", "mahalanobis", "feature_neighbors", "input_neighbors",
    "reconstruction",
)  # fmt: skip
RADII = (0.05, 0.1, 0.2)
STRANGERS = ("uniform", "permuted", "blocks", "spliced", "mixed")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scores", default=",".join(SCORES), help="names, or `all`")
    parser.add_argument("--radius", default=",".join(map(str, RADII)))
    parser.add_argument("--examples", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    names = list(all_scores()) if given.scores == "all" else given.scores.split(",")
    radii = [float(radius) for radius in given.radius.split(",")]

    run = digits(seed=given.seed)
    assert run.train is not None
    assert run.test is not None
    half = len(run.test) // 2
    calibration, fresh = run.test.part(0, half), run.test.part(half, len(run.test))
    guards = {
        name: fit_guard(
            run.model, run.train, calibration, score=name, alpha=ALPHA, domain=run.domain
        )
        for name in names
    }
    show(("score", "radius", "network alone", "oblivious", "caught", "adaptive", "false alarms"))
    for name, guard in guards.items():
        for radius in radii:
            show(attacked(name, guard, fresh, radius, given))
    print()
    show(("score", "strangers", *(f"within {radius:g}" for radius in (0.0, *radii))))
    for name, guard in guards.items():
        for family in STRANGERS:
            generator = torch.Generator().manual_seed(given.seed)
            strange = FAMILIES[family](fresh, guard.facts.domain, generator)
            show([name, family, *let_in(guard, strange, fresh, radii, given)])


def attacked(
    name: str, guard: Guard, split: Split, radius: float, given: argparse.Namespace
) -> list[str]:
    """One line of the first table."""
    generator = torch.Generator().manual_seed(given.seed)
    found = attack(guard, split, radius=radius, examples=given.examples, generator=generator)
    columns = (found.bare, found.oblivious, found.caught, found.adaptive, found.false_alarms)
    return [name, f"{radius:g}", *(map(percent, columns))]


def let_in(
    guard: Guard, strangers: Split, familiar: Split, radii: list[float], given: argparse.Namespace
) -> Iterator[str]:
    """Strangers accepted as they are, then within each radius."""
    for number, radius in enumerate(radii):
        generator = torch.Generator().manual_seed(given.seed)
        found = infiltrate(
            guard, strangers, radius=radius, examples=given.examples, familiar=familiar,
            generator=generator,
        )  # fmt: skip
        if number == 0:
            yield percent(found.untouched)
        yield percent(found.adaptive)


def percent(share: Estimate | None) -> str:
    """A share with its interval, in percent."""
    if share is None:
        return ""
    return f"{100 * share.value:.0f}% [{100 * share.low:.0f}, {100 * share.high:.0f}]"


def show(cells: Sequence[str]) -> None:
    """One line of a table; a header is followed by its rule."""
    print(f"| {' | '.join(cells)} |", flush=True)
    if cells[0] == "score":
        print(f"|{' --- |' * len(cells)}")


if __name__ == "__main__":
    main()
