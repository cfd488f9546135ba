"""Is the training data one piece?"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from offmap.attempt import CannotMeasure
from offmap.estimate import exact, proportion
from offmap.figures import Bars, Curve, Gallery
from offmap.measure import Cost, Paper, measure
from offmap.measures.geometry.pieces import (
    Cloud,
    chance,
    class_clouds,
    cloud_of,
    different_rows,
)
from offmap.numerics.components import growth
from offmap.numerics.neighbors import search
from offmap.reading import Reading
from offmap.run import Domain, Split

LEAST = 50  # different examples below which nothing is said
SHOWN = 12  # examples in a gallery


class Torn(NamedTuple):
    """A cloud in several pieces: which piece each example is in, and 0 is the largest."""

    name: str
    cloud: Cloud
    piece: Int64[Tensor, " n"]

    @property
    def off(self) -> int:
        """Examples off the largest piece."""
        return int((self.piece > 0).sum())


@measure(
    asks="Is the training data one piece, or are there islands that no short steps lead to?",
    unit="share of examples",
    span=(0.0, 1.0),
    better="neither",
    cost=Cost.WEIGHTS,
    read="0: one piece, as far as the sample shows. 0.3: three examples in ten lie on islands, "
    "beyond gaps wider than chance leaves in one piece. A gap of 1.5 is half as wide again as the "
    "steps that hold its sparser side together.",
    caution="A thin bridge on which no sampled example lies looks like a gap; a chain of odd "
    "examples closes one. Raw Euclidean distance: in many dimensions all steps are alike, and "
    "islands that differ in a few pixels are not seen. Classes need not be islands.",
    next_step="Look at the islands beside the rows nearest to them: another source, sensor or "
    "preprocessing? Then report their error as a group's, and do not trust what the network says "
    "between the pieces. Otherwise collect examples that lie in between.",
    paper=Paper("Khayatkhoei et al. 2018", "https://arxiv.org/abs/1806.00880"),
)
def manifold_components(
    train: Split,
    domain: Domain,
    *,
    examples: int = 2000,
    simulations: int = 99,
    generator: torch.Generator,
) -> Reading:
    r"""Share of the examples that lie off the largest piece of the data.

    Pieces merge at the lengths of the edges of the minimum spanning tree (persistent homology in
    dimension zero). Where two pieces of at least 1 % of the examples merge, the gap is the length
    of that edge over the length that 95 % of the edges within the sparser piece do not exceed.
    It is cut where it is wider than the widest gap of 95 % of simulated clouds that are one piece:
    of the dimension of the data, of 500 points at most, with independent exponential coordinates,
    whose gaps are wider than those of other laws. So circles, rolls, cubes, normal and heavy-tailed
    clouds raise fewer false alarms than 5 %.

    The same is asked within each class, where 5 % is the chance of any false alarm. Examples that
    are isolated but no island are counted apart. The null is the share that the same rule takes
    off the simulated clouds.

    Args:
        train: The examples; copies of an earlier one are left out.
        domain: Tokens have no distance.
        examples: How many are looked at, drawn at random (fewer where memory is short).
        simulations: How many clouds are simulated (more where there are many classes).
        generator: Source of the sample and of the clouds.

    Raises:
        ValueError: If fewer than 50 examples or 19 simulations are asked for.
        CannotMeasure: If fewer than 50 different examples are there, or they are tokens.
    """
    if examples < LEAST or simulations < 19:
        asked = f"{examples} and {simulations}"
        raise ValueError(f"expected examples >= {LEAST} and simulations >= 19, got {asked}")
    if domain.kind == "tokens":
        raise CannotMeasure("token numbers have no Euclidean distance")
    rows = different_rows(train, examples, generator)
    if len(rows) < LEAST:
        raise CannotMeasure(f"pieces are told among {LEAST} different examples, got {len(rows)}")

    whole = cloud_of(rows, train.take(rows).inputs.flatten(1), train.memory)
    null = chance([whole], simulations, generator)
    all_of_it = Torn("train", whole, whole.pieces(null.edge()))
    classes = dict(class_clouds(train, whole))
    edge = 1.0
    if classes:
        edge = chance(list(classes.values()), simulations, generator).edge(len(classes))
    torn = [Torn(name, one, one.pieces(edge)) for name, one in classes.items() if one.gap > edge]

    parts = {
        "pieces": exact(int(all_of_it.piece.max()) + 1, len(rows)),
        "widest gap, in steps of its sparser side": exact(whole.gap, len(rows)),
        "widest gap of 95 % of clouds of one piece": exact(null.edge(), len(null.found)),
        "chance of such a gap in one piece": proportion(null.beyond(whole.gap), len(null.found)),
        "dimension of these clouds": exact(null.dimension),
        "isolated examples": proportion(int(whole.isolated().sum()), len(rows)),
        **({"classes in several pieces": exact(len(torn), len(classes))} if classes else {}),
        **{f"{t.name}: off its largest piece": proportion(t.off, len(t.piece)) for t in torn},
    }
    islands = [all_of_it, *torn] if all_of_it.off else torn
    return Reading(
        proportion(all_of_it.off, len(rows)),
        null=exact(null.share_off(), len(null.found)),
        parts=parts,
        per_example=_column(len(train), all_of_it),
        figures=(
            _growth(whole),
            *([_bars(classes, edge)] if classes else []),
            *map(_beside, islands),
            *_lonely(whole),
        ),
        notes=tuple(map(_note, islands)),
    )


def _column(n: int, torn: Torn) -> Float64[Tensor, " n"]:
    """1 for examples off the largest piece, 0 for those on it, NaN for those not looked at."""
    column = torch.full((n,), torch.nan, dtype=torch.double)
    column[torn.cloud.rows] = (torn.piece > 0).double()
    return column


def _growth(cloud: Cloud) -> Curve:
    """Shares of the examples in pieces, by the longest step within these."""
    largest, within = (
        count.double() / len(cloud.rows) for count in growth(cloud.joined, cloud.least)
    )
    return Curve(
        "How the data comes together as steps grow",
        "longest step",
        "share of examples",
        cloud.tree.lengths,
        {"in the largest piece": largest, f"in pieces of {cloud.least} or more": within},
    )


def _bars(classes: dict[str, Cloud], edge: float) -> Bars:
    """The widest gap of each class, widest first."""
    ranked = sorted(classes.items(), key=lambda item: -item[1].gap)
    gaps = {name: exact(one.gap, len(one.rows)) for name, one in ranked}
    title = "Widest gap within each class, beside what chance leaves in one piece"
    return Bars(title, "steps of the sparser side", {"chance, at most": exact(edge), **gaps})


def _beside(torn: Torn) -> Gallery:
    """Examples of each island beside the nearest of the largest piece."""
    cloud, piece = torn.cloud, torn.piece
    islands = [(piece == p).nonzero().flatten() for p in range(1, int(piece.max()) + 1)]
    each = max(1, SHOWN // len(islands))
    chosen = torch.cat([own[:: -(-len(own) // each)] for own in islands[:SHOWN]])
    main = (piece == 0).nonzero().flatten()
    found = search(cloud.points[chosen], cloud.points[main], k=1)
    near, sizes = main[found.index[:, 0].cpu()], piece.bincount()[piece[chosen]]
    captions = [
        f"piece of {size}, distance {distance:.3g}"
        for size, distance in zip(sizes.tolist(), found.distance[:, 0].tolist(), strict=True)
    ]
    title = f"Islands of {torn.name}, each example beside the nearest of the largest piece"
    shown = torch.stack([cloud.rows[chosen], cloud.rows[near]], dim=1)
    return Gallery(title, ("train", "train"), shown, tuple(captions))


def _lonely(cloud: Cloud) -> Iterator[Gallery]:
    """The most isolated examples, each beside its nearest."""
    rows = cloud.isolated().nonzero().flatten()
    if not len(rows):
        return
    found = search(cloud.points[rows], cloud.points, k=1, exclude=rows.to(cloud.points.device))
    distance, near = found.distance[:, 0].cpu(), found.index[:, 0].cpu()
    far = distance.argsort(descending=True)[:SHOWN]
    shown = torch.stack([cloud.rows[rows[far]], cloud.rows[near[far]]], dim=1)
    captions = tuple(f"distance {value:.3g}" for value in distance[far].tolist())
    yield Gallery("Isolated examples, each beside its nearest", ("train", "train"), shown, captions)


def _note(torn: Torn) -> str:
    rows = torn.cloud.rows[torn.piece > 0].tolist()
    named = ", ".join(map(str, rows[:10]))
    more = f" and {len(rows) - 10} more" if len(rows) > 10 else ""
    return (
        f"{torn.name} is in {int(torn.piece.max()) + 1} pieces, with a gap {torn.cloud.gap:.3g} "
        f"times the steps beside it: train rows {named}{more} are off the largest."
    )
