"""A picture of the data in diffusion coordinates, and how far it can be believed."""

from collections.abc import Mapping
from math import ceil, prod
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float64, Int64, Shaped
from torch import Tensor

from offmap.attempt import CannotMeasure
from offmap.estimate import Estimate, exact, proportion
from offmap.figures import Bars, Curve, Figure, Scatter
from offmap.inputs import ClassPredictions, Predictions
from offmap.numerics.diffusion import DiffusionMap, diffusion_map
from offmap.numerics.duplicates import first_equal, row_digests
from offmap.numerics.neighbors import search
from offmap.reading import Reading
from offmap.run import Split
from offmap.table import Table

LEAST = 50  # landmarks
NEAR = 0.01  # of the landmarks are near a point
EDGE = 0.05  # of the landmarks, set apart from their own place, would be off the map
FAR, TYPICAL = 2.0, 0.95  # isolated: beyond FAR times the distance of TYPICAL to their nearest
WORST = 0.05  # of the examples have the largest errors, where nothing is simply wrong
DRAWN, DRAWN_TRAIN, DRAWN_WRONG = 1500, 400, 300  # points in a picture: all, of train, failures
NAMED = 4  # shifts with a color of their own
MEMORY_SHARE = 16  # landmarks, points to place, and a matrix may each take this part


class Placed(NamedTuple):
    """Some examples of a split on the map: `rows` [m], `places` [m k], and three columns [m].

    `wrong`: the network fails on them; `off`: too far from the landmarks to have a place; `kept`:
    the landmark next to them on the picture is near in the data.
    """

    rows: Int64[Tensor, " m"]
    places: Float64[Tensor, "m k"]
    nearest: Int64[Tensor, " m"]
    wrong: Bool[Tensor, " m"]
    off: Bool[Tensor, " m"]
    kept: Bool[Tensor, " m"]


def map_reading(
    train: Split,
    bank: Table,
    others: Mapping[str, Table],
    predictions: Mapping[str, Predictions],
    *,
    landmarks: int,
    examples: int,
    coordinates: int,
    generator: torch.Generator,
) -> Reading:
    """The map of `bank` (rows as in train), with examples of other splits placed on it.

    Raises:
        CannotMeasure: If fewer than 50 landmarks are different from each other.
        ValueError: If fewer than 50 landmarks, 2 examples or 2 coordinates are asked for.
    """
    if landmarks < LEAST or examples < 2 or not 2 <= coordinates < LEAST:
        raise ValueError(
            f"expected landmarks >= {LEAST}, examples >= 2 and 2 <= coordinates < {LEAST}, "
            f"got {landmarks}, {examples} and {coordinates}"
        )
    share = train.memory // MEMORY_SHARE  # of it, in float64: a row each, and a square matrix
    most = max(LEAST, min(share // (8 * max(1, prod(bank.shape))), int((share / 8) ** 0.5)))
    rows, points, apart = _landmarks(bank, min(landmarks, most), generator)
    found = diffusion_map(points, coordinates)
    placed = {
        name: _place(found, points, table, predictions.get(name), min(examples, most), generator)
        for name, table in others.items()
    }
    first, here = next(iter(placed.items()))  # test, where there is one
    near = ceil(NEAR * len(rows))
    off = {name: proportion(int(p.off.sum()), len(p.off)) for name, p in placed.items()}
    parts = {
        "bandwidth, as a length": exact(found.bandwidth**0.5, len(rows)),
        "slowest mode": exact(found.values[0].item(), len(rows)),
        "isolated training examples, which are no landmarks": exact(apart),
        **{f"{name}: off the map": share for name, share in off.items()},
        **{
            f"{name}: neighbors kept": proportion(int(p.kept.sum()), len(p.kept))
            for name, p in placed.items()
            if name != first
        },
        **_same_class(train, rows, here, predictions.get(first)),
    }
    return Reading(
        proportion(int(here.kept.sum()), len(here.kept)),
        null=exact(near / len(rows), len(rows)),
        parts=parts,
        figures=(
            _by_split(found, placed, predictions),
            *_by_class(train, rows, found),
            Bars("Off the map: too far from every landmark to have a place", "share", off),
            _modes(found),
        ),
    )


def _landmarks(
    bank: Table, most: int, generator: torch.Generator
) -> tuple[Int64[Tensor, " m"], Shaped[Tensor, "m d"], int]:
    """Rows of a sample, their values, and how many were left out as isolated; copies go too.

    Raises:
        CannotMeasure: If fewer than 50 of them differ from each other.
    """
    rows = torch.randperm(len(bank), generator=generator)[:most].sort().values
    points = bank.take(rows).flatten(1).cpu()
    fresh = first_equal(row_digests([points])) == torch.arange(len(rows))
    rows, points = rows[fresh], points[fresh]
    if len(rows) < LEAST:
        raise CannotMeasure(f"a map needs {LEAST} different landmarks, got {len(rows)}")
    nearest = search(points, points, k=1, exclude=torch.arange(len(rows))).distance[:, 0]
    typical = nearest <= FAR * nearest.quantile(TYPICAL)
    return rows[typical], points[typical], int((~typical).sum())


def _place(
    found: DiffusionMap,
    points: Shaped[Tensor, "l d"],
    table: Table,
    predictions: Predictions | None,
    most: int,
    generator: torch.Generator,
) -> Placed:
    rows = torch.randperm(len(table), generator=generator)[:most].sort().values
    values = table.take(rows).flatten(1).cpu()
    places, mass = found.place(values)
    alone = found.log_degrees.expm1().log()  # without their own weight, as others see them
    near = search(values, points, k=ceil(NEAR * len(points))).index
    nearest = search(places[:, :2].contiguous(), found.coordinates[:, :2], k=1).index
    wrong = torch.zeros(len(rows), dtype=torch.bool)
    if predictions is not None:
        wrong = _failures(predictions)[rows]
    return Placed(
        rows, places, nearest[:, 0], wrong, mass < alone.quantile(EDGE), (near == nearest).any(1)
    )


def _failures(predictions: Predictions) -> Bool[Tensor, " n"]:
    """Where the network is wrong; where answers are numbers, the largest errors."""
    error = predictions.error.cpu()
    if isinstance(predictions, ClassPredictions):
        return error > 0
    return error > error.quantile(1 - WORST)


def _same_class(
    train: Split, rows: Tensor, here: Placed, predictions: Predictions | None
) -> dict[str, Estimate]:
    """Whether the landmark next to an example on the picture has its class, and by chance."""
    if not isinstance(predictions, ClassPredictions) or train.known_targets is None:
        return {}
    own, theirs = predictions.targets.cpu()[here.rows], train.known_targets[rows]
    count = int((theirs[here.nearest] == own).sum())
    by_chance = (own[:, None] == theirs).double().mean().item()
    return {
        "of the same class as the nearest on the picture": proportion(count, len(own)),
        "of the same class by chance": exact(by_chance, len(own)),
    }


# ------------------------------------------------------------------------------------ the pictures


def _by_split(
    found: DiffusionMap, placed: Mapping[str, Placed], predictions: Mapping[str, Predictions]
) -> Scatter:
    """Train below, then test and the shifts, then failures on top."""
    each = (DRAWN - DRAWN_TRAIN - DRAWN_WRONG) // len(placed)
    layers = [("train", _few(found.coordinates, DRAWN_TRAIN))]
    shifts = [name for name in placed if name != "test"]
    for name, p in placed.items():
        many = len(shifts) > NAMED and name in shifts[NAMED - 1 :]
        layers.append(("other shifts" if many else name, _few(p.places[~p.wrong], each)))
    wrong = torch.cat([p.places[p.wrong] for p in placed.values()])
    simply = all(isinstance(found, ClassPredictions) for found in predictions.values())
    layers.append(("wrong" if simply else "largest errors", _few(wrong, DRAWN_WRONG)))
    return _scatter("The data in diffusion coordinates, failures on top", layers)


def _by_class(train: Split, rows: Tensor, found: DiffusionMap) -> tuple[Figure, ...]:
    """The landmarks by class, where train has classes."""
    targets = train.known_targets
    if targets is None or targets.is_floating_point() or targets.ndim != 1:
        return ()
    chosen = torch.linspace(0, len(rows) - 1, min(DRAWN, len(rows))).long()
    own, known = targets[rows[chosen]].tolist(), train.class_names
    names = [known[c] if known and 0 <= c < len(known) else str(c) for c in own]
    places = found.coordinates[chosen]
    title = "Train in diffusion coordinates, by class"
    return (Scatter(title, *AXES, places[:, 0], places[:, 1], tuple(names)),)


AXES = ("first diffusion coordinate", "second diffusion coordinate")


def _few(places: Float64[Tensor, "m k"], most: int) -> Float64[Tensor, "s k"]:
    return places[torch.linspace(0, len(places) - 1, min(most, len(places))).long()]


def _scatter(title: str, layers: list[tuple[str, Tensor]]) -> Scatter:
    places = torch.cat([layer for _, layer in layers])
    labels = tuple(name for name, layer in layers for _ in range(len(layer)))
    return Scatter(title, *AXES, places[:, 0], places[:, 1], labels)


def _modes(found: DiffusionMap) -> Curve:
    number = torch.arange(1, len(found.values) + 1, dtype=torch.double)
    return Curve(
        "How slowly each coordinate is forgotten",
        "coordinate",
        "share left after one step",
        number,
        {"": found.values},
    )
