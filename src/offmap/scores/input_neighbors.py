"""Distance to the nearest training inputs, by the distances that are usual there."""

from math import prod

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from offmap.attempt import InputError
from offmap.measure import Paper
from offmap.numerics.bank import Index, nearest
from offmap.numerics.neighbors import search
from offmap.numerics.principal import principal_components
from offmap.score import Known, score
from offmap.scores.rows import Mapped, bank_of

SAMPLE = 10_000  # training inputs from which the directions are taken
FLOOR = 1e-3  # of the median local scale: duplicates have none


def _fit(
    known: Known,
    *,
    k: int = 10,
    components: int = 64,
    variance: float = 0.99,
    bank: int | None = None,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Main directions of the inputs, the training inputs along them, and their local scale.

    Args:
        known: Where the inputs come from.
        k: Which neighbor.
        components: Most directions to keep.
        variance: Share of the variance with which fewer are enough.
        bank: Most rows to keep; None: all of them.
        generator: Source of the sample from which the directions are taken, and of rows kept.

    Raises:
        ValueError: If a setting is out of range.
        InputError: If the inputs are too few, too many, or all the same.
    """
    if components < 1 or not 0 < variance <= 1:
        raise ValueError(
            f"expected components >= 1 and variance in (0, 1], got {components} and {variance:g}"
        )
    mean, axes = _directions(known, components, variance, generator)
    kept = bank_of(
        Mapped(known.inputs, lambda rows: _place(rows, mean, axes)),
        bank,
        k,
        known.memory,
        generator=generator,
    )
    own = torch.arange(len(kept.points))
    found = search(kept.points, kept.points, k=k, exclude=own, memory=known.memory // 4)
    scale = found.distance[:, -1]
    if not bool((scale > 0).any()):
        raise InputError("expected training inputs that differ, got copies of a few")
    scale = scale.clamp_min(FLOOR * scale[scale > 0].median())
    return {"mean": mean, "axes": axes, "bank": kept.points, "scale": scale.float()}


def _directions(
    known: Known, components: int, variance: float, generator: torch.Generator
) -> tuple[Float[Tensor, " d"], Float[Tensor, "d c"]]:
    """Mean and main directions of a sample of the inputs."""
    table = known.inputs
    size = min(len(table), SAMPLE, max(2, known.memory // (128 * max(1, prod(table.shape)))))
    rows = torch.randperm(len(table), generator=generator)[:size].sort().values
    sample = table.take(rows).flatten(1)
    found = principal_components(sample, components, generator=generator)
    spread = (sample.double() - found.mean).square().sum(dim=1).mean()
    share = found.scale.square().cumsum(dim=0) / spread
    enough = int((share < variance).sum()) + 1
    return found.mean.float(), found.axes[:, :enough].float()


def _place(
    inputs: Shaped[Tensor, "n ..."], mean: Float[Tensor, " d"], axes: Float[Tensor, "d c"]
) -> Float[Tensor, "n e"]:
    """Coordinates along the directions, and as the last one the distance from their span."""
    apart = inputs.flatten(1).float() - mean
    along = apart @ axes
    off = torch.linalg.vector_norm(apart - along @ axes.T, dim=1, keepdim=True)
    return torch.cat((along, off), dim=1)


@score(
    fit=_fit,
    says="How far an input is from the nearest training inputs, in units of their own distances.",
    caution=(
        "It compares pixels or columns as they are: where the same thing can look very different, "
        "as in photographs, smooth and low-contrast inputs are near to everything."
    ),
    paper=Paper(
        "Breunig, Kriegel, Ng and Sander (2000), LOF: Identifying density-based local outliers",
        "https://doi.org/10.1145/342009.335388",
    ),
)
def input_neighbors(
    inputs: Shaped[Tensor, "n ..."],
    /,
    mean: Float[Tensor, " d"],
    axes: Float[Tensor, "d c"],
    bank: Float[Tensor, "m e"] | Index,
    scale: Float[Tensor, " m"],
    *,
    k: int = 10,
) -> Float[Tensor, " n"]:
    r"""Mean distance to the k nearest training inputs, over the mean of theirs to their k-th.

    .. math:: \sum_{j \le k} \lVert x - x_j \rVert \;/\; \sum_{j \le k} r_k(x_j)

    Distances are taken between projections onto the main directions of training data, together
    with how far each input lies off their span.
    """
    distance, index = nearest(_place(inputs, mean, axes), bank, k=k)
    return distance.mean(dim=1) / scale[index].double().mean(dim=1)
