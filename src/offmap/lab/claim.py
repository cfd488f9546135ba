"""A claim from theory: what it says, the effect in one number, and the line it must cross.

All three are fixed before anything runs. A claim is a function that runs one trial; it never sees
its own interval, and does not pronounce its own verdict (`offmap.lab.finding` does).
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from math import inf, isfinite
from typing import Any, Literal

from offmap.attempt import InputError
from offmap.catalog import registered
from offmap.figures import Figure
from offmap.measure import Paper

__all__ = ["ROOMS", "SCALES", "Claim", "Paper", "Scale", "Statement", "Trial", "claim", "claims"]

Scale = Literal["smoke", "desk", "full"]
SCALES: tuple[Scale, ...] = ("smoke", "desk", "full")
ROOMS = {
    "interpolation": "Interpolation and extrapolation",
    "manifold": "Manifold and density",
    "symbolic": "Discrete and symbolic",
    "capacity": "Capacity and regularization",
    "implicit_bias": "Implicit bias",
    "off_map": "Off the map",
}
GIVEN = ("generator", "data")  # keywords that a trial is given beside its parameters


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """What one seed gave.

    Args:
        effect: The one number that the claim is about.
        parts: Numbers that explain it.
        figures: What is better seen than read; those of the first seed are shown.
        notes: What was found, in words, one sentence each.

    Raises:
        ValueError: If a number is not finite.
    """

    effect: float
    parts: Mapping[str, float] = field(default_factory=dict)
    figures: tuple[Figure, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, value in {"effect": self.effect, **self.parts}.items():
            if not isfinite(value):
                raise ValueError(f"expected a finite number for {name}, got {value}")


@dataclass(frozen=True, slots=True)
class Statement:
    """What a reader should know of a claim: a record that outlives the claim's code."""

    name: str
    room: str
    says: str
    effect: str
    above: float | None
    below: float | None
    protocol: str
    corrected: str
    published: str
    citation: str
    url: str


@dataclass(frozen=True, slots=True, eq=False)
class Claim:
    """One statement of theory that can be run. Called as the function that it wraps.

    Args:
        function: (*, generator, parameters of the scale) -> Trial, one seed.
        says: The statement, in one sentence.
        effect: What the number is, and from what.
        above: The claim holds where the effect is larger than this; None for no such line.
        below: The claim holds where the effect is smaller than this; None for no such line.
        scales: The parameters of each scale.
        seconds: Of one trial at each scale, on one core of a laptop, roughly.
        paper: Where it comes from.
        published: A number of the paper, where it was derived or read there; empty otherwise.
        corrected: Name of the claim that states it right, where this one is a popular mistake.
        modules: What must be installed beyond offmap itself: the extra `lab` has it.
        data: Names of the public data sets that it reads at each scale; given as `data`.
    """

    function: Callable[..., Trial]
    says: str
    effect: str
    above: float | None
    below: float | None
    scales: Mapping[Scale, Mapping[str, Any]]
    seconds: Mapping[Scale, float]
    paper: Paper
    published: str = ""
    corrected: str = ""
    modules: tuple[str, ...] = ()
    data: Mapping[Scale, tuple[str, ...]] = field(default_factory=dict)

    def __call__(self, **parameters: object) -> Trial:
        """What the function returns."""
        return self.function(**parameters)

    @property
    def name(self) -> str:
        """The function's name, which is also its file's."""
        return self.function.__name__

    @property
    def room(self) -> str:
        """The folder that it lies in."""
        return self.function.__module__.rpartition(".")[0].rpartition(".")[2]

    @property
    def statement(self) -> Statement:
        """What a finding keeps of it."""
        return Statement(
            name=self.name,
            room=self.room,
            says=self.says,
            effect=self.effect,
            above=self.above,
            below=self.below,
            protocol=inspect.getdoc(self.function) or "",
            corrected=self.corrected,
            published=self.published,
            citation=self.paper.citation,
            url=self.paper.url,
        )


def claim(
    *,
    says: str,
    effect: str,
    scales: Mapping[Scale, Mapping[str, Any]],
    seconds: Mapping[Scale, float],
    paper: Paper,
    above: float | None = None,
    below: float | None = None,
    published: str = "",
    corrected: str = "",
    modules: tuple[str, ...] = (),
    data: Mapping[Scale, tuple[str, ...]] | None = None,
) -> Callable[[Callable[..., Trial]], Claim]:
    """Make a claim of a function. Arguments as of `Claim`.

    Raises:
        TypeError: If there is no line to cross, a scale is missing, or the parameters of a scale
            are not those of the function.
    """
    low, high = -inf if above is None else above, inf if below is None else below
    if (above is None and below is None) or low >= high:
        raise TypeError(f"expected a line to cross, got above={above}, below={below}")
    for what, given in (("parameters", scales), ("seconds", seconds)):
        if set(given) != set(SCALES):
            raise TypeError(f"expected {what} for {', '.join(SCALES)}, got {sorted(given)}")

    def wrap(function: Callable[..., Trial]) -> Claim:
        kinds = inspect.signature(function).parameters
        wanted = [name for name in kinds if name not in GIVEN]
        for scale, parameters in scales.items():
            if set(parameters) != set(wanted):
                raise TypeError(
                    f"expected {function.__name__} at scale {scale} to have the parameters "
                    f"{sorted(wanted)}, got {sorted(parameters)}"
                )
        if "generator" not in kinds or ("data" in kinds) != bool(data):
            raise TypeError(
                f"expected {function.__name__}(*, generator, ...), with data where it reads some"
            )
        return Claim(
            function, says, effect, above, below, scales, seconds, paper, published, corrected,
            modules, data or {},
        )  # fmt: skip

    return wrap


@cache
def claims() -> Mapping[str, Claim]:
    """Every claim: offmap's own, and those of packages that register `offmap.lab.claims`.

    Raises:
        InputError: If a package cannot be imported, or has a claim whose name is taken or that
            does not lie in a room's folder.
    """
    found = registered("offmap.lab.claims", Claim)
    for unit in found.values():
        if unit.room not in ROOMS:
            raise InputError(
                f"claim {unit.name}: expected its file in a folder named after a room "
                f"({', '.join(ROOMS)}), got {unit.function.__module__}"
            )
    order = {room: place for place, room in enumerate(ROOMS)}
    return dict(sorted(found.items(), key=lambda item: (order[item[1].room], item[0])))
