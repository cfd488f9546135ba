"""Plot data, not plots: what a measure found that is better seen than read. `report/` draws."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from jaxtyping import Float, Int
from torch import Tensor

from offmap.estimate import Estimate


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Lines over one axis. `low` and `high` are bands around the series of the same name."""

    title: str
    x_label: str
    y_label: str
    x: Float[Tensor, " m"]
    series: Mapping[str, Float[Tensor, " m"]]
    low: Mapping[str, Float[Tensor, " m"]] = field(default_factory=dict)
    high: Mapping[str, Float[Tensor, " m"]] = field(default_factory=dict)
    log_x: bool = False
    log_y: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Counts (or shares) in the bins between `edges`."""

    title: str
    x_label: str
    edges: Float[Tensor, " bins_and_one"]
    counts: Mapping[str, Float[Tensor, " bins"]]


@dataclass(frozen=True, slots=True, eq=False)
class Scatter:
    """Points; `label` colors them."""

    title: str
    x_label: str
    y_label: str
    x: Float[Tensor, " m"]
    y: Float[Tensor, " m"]
    label: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """One estimate for each name, with its interval."""

    title: str
    y_label: str
    values: Mapping[str, Estimate]
    log_y: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Matrix:
    """Numbers by row and column."""

    title: str
    x_label: str
    y_label: str
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    values: Float[Tensor, "rows columns"]


@dataclass(frozen=True, slots=True, eq=False)
class Gallery:
    """Examples worth looking at, side by side: `rows[k, c]` is a row of the split `columns[c]`.

    The report shows them as pictures where the inputs are images, as numbers otherwise.
    """

    title: str
    columns: tuple[str, ...]
    rows: Int[Tensor, "k columns"]
    captions: tuple[str, ...]


Figure = Curve | Histogram | Scatter | Bars | Matrix | Gallery
