"""The folder is the registry: every unit is found by walking its package, once."""

import importlib
import pkgutil
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from importlib.metadata import entry_points
from typing import TypeVar

from offmap.attempt import InputError
from offmap.measure import Measure

T = TypeVar("T")


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
    for module in pkgutil.walk_packages(root.__path__, f"{package}."):
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


@cache
def measures() -> Mapping[str, Measure]:
    """Every measure: offmap's own, and those of packages that register `offmap.measures`.

    Raises:
        InputError: If two packages offer a measure of the same name.
    """
    found: dict[str, Measure] = dict(catalog("offmap.measures", Measure))
    packages = {point.value for point in entry_points(group="offmap.measures")}
    for package in sorted(packages - {"offmap.measures"}):
        for name, unit in catalog(package, Measure).items():
            if name in found:
                raise InputError(f"package {package} offers a measure {name}, which exists already")
            found[name] = unit
    return found


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
    near = get_close_matches(name, known, n=3, cutoff=0.5) or sorted(known)[:10]
    return f"expected a {what}, got {name!r}: did you mean {' or '.join(near)}?"
