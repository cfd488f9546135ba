"""A training method, written once as a function from recipe to trainer, and what is known of it."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from offmap.measure import Paper, keyword_defaults
from offmap.run import Recipe, Trainer


@dataclass(frozen=True, slots=True, eq=False)
class Remedy:
    """A way to retrain. Called as the function that it wraps.

    Args:
        function: (Recipe, *, settings) -> Trainer.
        treats: Names of the measures that it should move.
        overhead: Time of an update over that of plain training.
        caution: When it hurts or misleads.
        paper: Where it comes from.
    """

    function: Callable[..., Trainer]
    treats: tuple[str, ...]
    overhead: float
    caution: str
    paper: Paper

    @property
    def name(self) -> str:
        """The function's name, which is also its file's."""
        return self.function.__name__

    @property
    def settings(self) -> Mapping[str, Any]:
        """Keyword parameters with their defaults."""
        return keyword_defaults(self.function)

    def __call__(self, recipe: Recipe, **settings: object) -> Trainer:
        """What the function returns."""
        return self.function(recipe, **settings)


def remedy(
    *, treats: tuple[str, ...], overhead: float, caution: str, paper: Paper
) -> Callable[[Callable[..., Trainer]], Remedy]:
    """Make a remedy of a function. Everything but the function is stated here, once.

    Raises:
        TypeError: If its first parameter is not `recipe`, or a setting has no default.
    """

    def wrap(function: Callable[..., Trainer]) -> Remedy:
        first = next(iter(inspect.signature(function).parameters), None)
        if first != "recipe":
            raise TypeError(f"expected {function.__name__}(recipe, *, ...), got {first} first")
        keyword_defaults(function)
        return Remedy(function, treats, overhead, caution, paper)

    return wrap
