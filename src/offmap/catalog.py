"""The folder is the registry: every unit is found by walking its package, once."""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from difflib import get_close_matches
from functools import cache
from importlib.metadata import entry_points
from typing import TypeVar

from offmap.attempt import InputError, readable
from offmap.measure import QUESTIONS, Measure
from offmap.score import Score

T = TypeVar("T")
Measures = Mapping[str, Measure]
Scores = Mapping[str, Score]

_offered: ContextVar[Measures | None] = ContextVar("offered", default=None)


def catalog(package: str, kind: type[T]) -> dict[str, T]:
    """Every unit of a package, by name: from each module the attribute that bears its name.

    Args:
        package: Dotted name of the package to walk.
        kind: What the attribute must be; other modules (helpers) are passed over.

    Raises:
        InputError: If two modules offer a unit of the same name.
    """
    root = importlib.import_module(package)
    found: dict[str, T] = {}
    for module in pkgutil.walk_packages(root.__path__, f"{package}.", onerror=_again):
        if module.ispkg:
            continue
        name = module.name.rsplit(".", 1)[-1]
        unit = getattr(importlib.import_module(module.name), name, None)
        if isinstance(unit, kind):
            if name in found:
                raise InputError(
                    f"expected one {kind.__name__} called {name}, got two in {package}"
                )
            found[name] = unit
    return found


def _again(_: str) -> None:
    """A package that cannot be imported is an error; `walk_packages` would pass it over."""
    raise


def measures() -> Measures:
    """Every measure: offmap's own, those of packages that register `offmap.measures`, and offers.

    Raises:
        InputError: If a package cannot be imported, offers a measure whose name is taken, or has
            one that does not lie in the folder of a question.
    """
    return _offered.get() or _installed()


@cache
def scores() -> Scores:
    """Every score: offmap's own, and those of packages that register `offmap.scores`.

    Raises:
        InputError: If a package cannot be imported, or offers a score whose name is taken.
    """
    return registered("offmap.scores", Score)


@contextmanager
def offering(*units: Measure) -> Iterator[None]:
    """In this block these measures are found as well, as if their package were installed.

    Raises:
        InputError: If another measure of the same name exists, or one lies in no question's folder.
    """
    token = _offered.set(_joined(measures(), {unit.name: unit for unit in units}, "the caller"))
    try:
        yield
    finally:
        _offered.reset(token)


@cache
def _installed() -> Measures:
    return registered("offmap.measures", Measure)


def registered(group: str, kind: type[T]) -> Mapping[str, T]:
    """The units of the package that an entry point group is named after, and of its members.

    Raises:
        InputError: If a package cannot be imported, or offers a unit whose name is taken.
    """
    found: Mapping[str, T] = {}
    others = {point.value for point in entry_points(group=group)} - {group}
    for package in (group, *sorted(others)):
        units = readable(
            lambda package=package: catalog(package, kind),
            f"the {kind.__name__.lower()}s of package {package}",
        )
        found = _joined(found, units, f"package {package}")
    return found


def _joined(known: Mapping[str, T], more: Mapping[str, T], source: str) -> dict[str, T]:
    for name, unit in more.items():
        if known.get(name, unit) is not unit:
            kind = type(unit).__name__.lower()
            raise InputError(f"{source} offers a {kind} {name}, which exists already")
        if isinstance(unit, Measure) and unit.question not in QUESTIONS:
            raise InputError(
                f"measure {name} of {source}: expected its file in a folder named after the "
                f"question that it asks ({', '.join(QUESTIONS)}), got {unit.function.__module__}"
            )
    return {**known, **more}


def named(name: str, known: Mapping[str, T], what: str) -> T:
    """The unit of that name.

    Raises:
        InputError: If there is none; it says which names are nearest.
    """
    if name in known:
        return known[name]
    raise InputError(unknown(name, known, what))


def unknown(name: str, known: Mapping[str, object], what: str) -> str:
    """A sentence saying that a name is unknown, and which ones are nearest."""
    if not known:
        return f"expected no {what}, for there is none, got {name!r}"
    near = get_close_matches(name, known, n=3, cutoff=0.5) or sorted(known)[:10]
    return f"expected a {what}, got {name!r}: did you mean {' or '.join(near)}?"
