"""A measure: a plain function that asks one question, and what is known of it."""

import ast
import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Literal

from offmap.attempt import InputError
from offmap.inputs import VOCABULARY, Predictions, home
from offmap.reading import Reading

QUESTIONS = {
    "expressivity": "What could this network compute?",
    "trainability": "How easily does training find it?",
    "weak_generalization": "Does it hold near its data?",
    "strong_generalization": "Does it hold far from its data?",
    "continuity": "How fast do the target and the network change?",
    "geometry": "Where does the data lie, and is this input inside it?",
    "memorization": "What did it store rather than learn?",
    "representation": "What do its layers do to the data?",
}


class Cost(IntEnum):
    """What a measure makes the network do, cheapest first."""

    WEIGHTS = 0  # no pass: weights and data alone
    FORWARD = 1  # one forward pass over the data, shared with every other measure
    BACKWARD = 2  # gradients, about one backward pass over a split
    MANY_PASSES = 3  # several passes over a split
    RETRAIN = 4  # trains fresh networks

    @property
    def label(self) -> str:
        """As people type it: `many_passes`."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Paper:
    """A source: how one cites it, and where it is."""

    citation: str
    url: str


@dataclass(frozen=True, slots=True)
class Card:
    """What a reader should know of a measure: a record that outlives the measure's code."""

    name: str
    question: str
    summary: str
    asks: str
    unit: str
    span: tuple[float, float]
    better: str
    cost: str
    read: str
    caution: str
    next_step: str
    citation: str
    url: str


@dataclass(frozen=True, slots=True, eq=False)
class Measure:
    """A question with a number for an answer. Called as the function that it wraps.

    Args:
        function: Needs as positional parameters, settings as keyword-only ones -> Reading.
        asks: The question, in one sentence.
        unit: Of the value.
        span: The values that are possible.
        better: Which way is good; `neither` for a description.
        cost: What it makes the network do.
        read: How to read a value, with numbers.
        caution: When it misleads.
        next_step: What to do when the value is bad.
        paper: Where it comes from.
        per_example: (needs, *, settings) -> [n] or [n c], for each example of `split` on its own;
            the engine runs it in shards, and the measure asks for the result as `per_example`.
        replicate: (needs, *, settings) -> [c], one repetition with its own generator; the engine
            runs one for each of the setting `seeds`, and the measure asks for `replicates`.
    """

    function: Callable[..., Reading]
    asks: str
    unit: str
    span: tuple[float, float]
    better: Literal["higher", "lower", "neither"]
    cost: Cost
    read: str
    caution: str
    next_step: str
    paper: Paper
    per_example: Callable[..., Any] | None = None
    replicate: Callable[..., Any] | None = None

    def __call__(self, *needs: object, **settings: object) -> Reading:
        """What the function returns."""
        return self.function(*needs, **settings)

    @property
    def name(self) -> str:
        """The function's name, which is also its file's."""
        return self.function.__name__

    @property
    def question(self) -> str:
        """The folder that it lies in."""
        return self.function.__module__.rpartition(".")[0].rpartition(".")[2]

    @property
    def inner(self) -> Callable[..., Any] | None:
        """The part that the engine runs piece by piece, if there is one."""
        return self.per_example or self.replicate

    @property
    def needs(self) -> tuple[str, ...]:
        """Every word that it asks for, those of its inner part included."""
        inner = positional(self.inner) if self.inner else ()
        return tuple(dict.fromkeys((*positional(self.function), *inner)))

    @property
    def settings(self) -> Mapping[str, Any]:
        """Keyword parameters with their defaults, those of its inner part included."""
        inner = keyword_defaults(self.inner) if self.inner else {}
        return {**inner, **keyword_defaults(self.function)}

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return (inspect.getdoc(self.function) or "").split("\n")[0]

    @property
    def card(self) -> Card:
        """What a report says of it."""
        return Card(
            name=self.name,
            question=self.question,
            summary=self.summary,
            asks=self.asks,
            unit=self.unit,
            span=self.span,
            better=self.better,
            cost=self.cost.label,
            read=self.read,
            caution=self.caution,
            next_step=self.next_step,
            citation=self.paper.citation,
            url=self.paper.url,
        )

    @property
    def tasks(self) -> tuple[type, ...] | None:
        """The kinds of predictions that it can read; None where it does not matter."""
        functions = [self.function, *([self.inner] if self.inner else [])]
        for function in functions:
            hints = typing.get_type_hints(function)
            for word in positional(function):
                kinds = _prediction_kinds(hints.get(word))
                if home(word)[1] == "predictions" and kinds and Predictions not in kinds:
                    return kinds
        return None

    @property
    def reads_splits(self) -> Literal["none", "shifts", "every"]:
        """Whether it is read once, on the shifts (it compares with test), or on test as well."""
        words = [word for word in self.needs if VOCABULARY[word].per_split]
        if not any(home(word)[0] is None for word in words):
            return "none"
        return "shifts" if any(home(word)[0] == "test" for word in words) else "every"


def measure(
    *,
    asks: str,
    unit: str,
    span: tuple[float, float],
    better: Literal["higher", "lower", "neither"],
    cost: Cost,
    read: str,
    caution: str,
    next_step: str,
    paper: Paper,
    per_example: Callable[..., Any] | None = None,
    replicate: Callable[..., Any] | None = None,
) -> Callable[[Callable[..., Reading]], Measure]:
    """Make a measure of a function. What is said here is all that offmap knows of it.

    Raises:
        TypeError: If the function asks for a word that is not in the vocabulary, has a setting
            without a default, or asks for `per_example` or `replicates` without giving them.
    """

    def wrap(function: Callable[..., Reading]) -> Measure:
        unit_ = Measure(
            function, asks, unit, span, better, cost, read, caution, next_step, paper,
            per_example, replicate,
        )  # fmt: skip
        _check(unit_)
        return unit_

    return wrap


def _check(unit: Measure) -> None:
    name = unit.name
    for word in unit.needs:
        if word not in VOCABULARY:
            raise TypeError(
                f"measure {name} asks for {word!r}, which is not in the vocabulary: expected one "
                f"of {', '.join(VOCABULARY)}; settings go behind the * with a default"
            )
    words, settings = positional(unit.function), unit.settings
    for word, given in (("per_example", unit.per_example), ("replicates", unit.replicate)):
        if (word in words) != (given is not None):
            raise TypeError(f"measure {name}: expected {word!r} to be both given and asked for")
    if unit.replicate is not None and "seeds" not in settings:
        raise TypeError(f"measure {name}: expected a setting `seeds`, the number of replicates")
    if unit.per_example is not None:
        asked = [word for word in positional(unit.per_example) if home(word)[0] is None]
        if [word for word in asked if VOCABULARY[word].per_split] != ["split"]:
            raise TypeError(
                f"measure {name}: expected per_example to take `split`, the shard to read, and "
                f"no other word of that split, got {', '.join(asked)}"
            )


def positional(function: Callable[..., Any]) -> tuple[str, ...]:
    """Names of the positional parameters, in order."""
    return tuple(
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY
    )


def keyword_defaults(function: Callable[..., Any]) -> dict[str, Any]:
    """Keyword-only parameters with their defaults, the generator apart.

    Raises:
        TypeError: If one has no default.
    """
    settings = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and name != "generator":
            if parameter.default is inspect.Parameter.empty:
                raise TypeError(f"expected a default for setting {name} of {function.__name__}")
            settings[name] = parameter.default
    return settings


def like(default: object, value: object, name: str) -> object:
    """`value` as the kind of thing that `default` is; text is read as Python writes it.

    Raises:
        InputError: If it is another kind of thing.
    """
    if isinstance(value, str) and not isinstance(default, str):
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError, TypeError) as error:
            raise InputError(f"{name}: expected {_kind(default)}, got {value!r}") from error
    if isinstance(default, bool) or isinstance(value, bool):
        fits = isinstance(default, bool) and isinstance(value, bool)
    elif isinstance(default, float):
        value, fits = (float(value), True) if isinstance(value, (int, float)) else (value, False)
    elif isinstance(default, tuple):
        value = tuple(value) if isinstance(value, (list, tuple)) else (value,)
        fits = True
    else:
        fits = default is None or isinstance(value, type(default))
    if not fits:
        raise InputError(f"{name}: expected {_kind(default)}, got {value!r}")
    return value


def _kind(default: object) -> str:
    return f"a value like {default!r} ({type(default).__name__})"


def is_stochastic(function: Callable[..., Any]) -> bool:
    """Whether it takes a generator."""
    return "generator" in inspect.signature(function).parameters


def _prediction_kinds(hint: object) -> tuple[type, ...]:
    """The subclasses of Predictions named in an annotation, unions and mappings included."""
    if isinstance(hint, type) and issubclass(hint, Predictions):
        return (hint,)
    return tuple(kind for part in typing.get_args(hint) for kind in _prediction_kinds(part))
