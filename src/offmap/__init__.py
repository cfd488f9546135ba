"""offmap: know where your model's map ends.

`audit(run)` takes every reading that a `TrainingRun` allows and returns a `Report`; `plan(run)`
says before what that will cost. Names are imported when first used, so that `import offmap` is
quick.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from offmap.attempt import CannotMeasure as CannotMeasure
    from offmap.attempt import InputError as InputError
    from offmap.audit import audit as audit
    from offmap.audit import plan as plan
    from offmap.guard.fit import fit_guard as fit_guard
    from offmap.guard.guard import Guard as Guard
    from offmap.measure import Cost as Cost
    from offmap.measure import Paper as Paper
    from offmap.measure import measure as measure
    from offmap.reading import Reading as Reading
    from offmap.remedy import remedy as remedy
    from offmap.report.compare import compare as compare
    from offmap.report.report import Report as Report
    from offmap.run import Domain as Domain
    from offmap.run import History as History
    from offmap.run import Recipe as Recipe
    from offmap.run import Split as Split
    from offmap.run import TrainingRun as TrainingRun
    from offmap.sources import load_split as load_split
    from offmap.train import trainer as trainer

_HOMES = {
    "audit": "offmap.audit",
    "plan": "offmap.audit",
    "compare": "offmap.report.compare",
    "Report": "offmap.report.report",
    "TrainingRun": "offmap.run",
    "Split": "offmap.run",
    "Domain": "offmap.run",
    "History": "offmap.run",
    "Recipe": "offmap.run",
    "trainer": "offmap.train",
    "load_split": "offmap.sources",
    "fit_guard": "offmap.guard.fit",
    "Guard": "offmap.guard.guard",
    "measure": "offmap.measure",
    "Cost": "offmap.measure",
    "Paper": "offmap.measure",
    "Reading": "offmap.reading",
    "remedy": "offmap.remedy",
    "InputError": "offmap.attempt",
    "CannotMeasure": "offmap.attempt",
}


class _Package(ModuleType):
    """Keeps `offmap.audit` the function when the module of that name is imported."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> object:
    """The public name, imported from its home.

    Raises:
        AttributeError: If there is no such name.
    """
    if name not in _HOMES:
        raise AttributeError(f"module 'offmap' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Every public name."""
    return sorted(_HOMES)
