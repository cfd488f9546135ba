"""Distance to the k-th nearest training features."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from offmap.measure import Paper
from offmap.numerics.bank import Index, nearest
from offmap.score import Known, score
from offmap.scores.rows import Mapped, bank_of


def _fit(
    known: Known,
    *,
    k: int = 5,
    normalize: bool = True,
    bank: int | None = None,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """The training features, or some that stand for all, about their mean.

    Args:
        known: Where the features come from.
        k: Which neighbor.
        normalize: Whether each vector is brought to length 1 first.
        bank: Most rows to keep; None: all of them.
        generator: Source of those kept.
    """
    assert known.features is not None
    table = known.features.table
    center = Mapped(table, lambda rows: _lengths(rows, normalize)).mean()
    rows = Mapped(table, lambda rows: _lengths(rows, normalize) - center)
    kept = bank_of(rows, bank, k, known.memory, generator=generator)
    radius = torch.tensor(kept.radius, dtype=torch.double)
    counts = kept.counts if len(kept.points) < len(rows) else kept.counts[:0]
    return {"center": center, "bank": kept.points, "counts": counts, "radius": radius}


def _lengths(features: Float[Tensor, "n d"], normalize: bool) -> Float[Tensor, "n d"]:
    features = features.float()
    return functional.normalize(features, dim=1) if normalize else features


@score(
    fit=_fit,
    says="How far the features are from the k-th nearest features of training data.",
    caution=(
        "It sees what the network kept of an input: strangers that it maps onto known features "
        "look familiar. With a thinned bank, distances err by up to `radius`."
    ),
    paper=Paper(
        "Sun, Ming, Zhu and Li (2022), Out-of-distribution detection with deep nearest neighbors",
        "https://arxiv.org/abs/2204.06507",
    ),
)
def feature_neighbors(
    features: Float[Tensor, "n d"],
    /,
    center: Float[Tensor, " d"],
    bank: Float[Tensor, "m d"] | Index,
    counts: Int64[Tensor, " c"],
    radius: Float[Tensor, ""],
    *,
    k: int = 5,
    normalize: bool = True,
) -> Float[Tensor, " n"]:
    """Euclidean distance to the k-th nearest training features, each of length 1 if normalized.

    A row of a thinned bank counts for all the examples that it stands for, so that the distance
    errs by at most `radius`. Where all are kept that is 0, and there are no `counts`.
    """
    queries = _lengths(features, normalize) - center
    if not len(counts):
        return nearest(queries, bank, k=k)[0][:, -1]
    distance, index = nearest(queries, bank, k=min(k, len(counts)))
    before = (counts[index].cumsum(dim=1) < k).sum(dim=1, keepdim=True)
    return distance.gather(1, before).squeeze(1)
