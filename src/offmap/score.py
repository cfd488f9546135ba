"""A score: how strange an input looks, larger = stranger, and what it learned of training data."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from offmap.attempt import InputError
from offmap.inputs import Features
from offmap.measure import Paper, is_stochastic, keyword_defaults, like
from offmap.numerics.bank import Tiles, lengths, worthwhile
from offmap.table import Table

T = TypeVar("T")

SEEN = ("inputs", "logits", "features")  # what a score may read of an input
POSITIONAL_ONLY = inspect.Parameter.POSITIONAL_ONLY
POSITIONAL = inspect.Parameter.POSITIONAL_OR_KEYWORD


class Seen(NamedTuple):
    """What is known of a batch when it is scored. Rows belong together.

    `logits` is None where the network does no classification, `features` where it has no head that
    offmap can see.
    """

    inputs: Shaped[Tensor, "n ..."]
    logits: Float[Tensor, "n c"] | None = None
    features: Float[Tensor, "n d"] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What a score may be fitted on: training data and the network's answers to it, row by row.

    Args:
        inputs: The training inputs [n, ...]; may exceed memory.
        targets: Their classes [n]; None where the network does no classification.
        logits: The network's outputs for them [n, c]; None where it does no classification.
        features: The inputs of its head [n, d]; None where it has no head that offmap can see.
        head: The layer that reads the features; None where it is not linear.
        memory: Bytes that a fit may hold.
        tokens: Whether the inputs are token numbers, which have no distance.
        memo: What `shared` has made.
    """

    inputs: Table
    targets: Int[Tensor, " n"] | None
    logits: Float[Tensor, "n c"] | None
    features: Features | None
    head: nn.Linear | None
    memory: int
    tokens: bool = False
    memo: dict[str, Any] = field(default_factory=dict)

    def shared(self, what: str, make: Callable[[], T]) -> T:
        """What several scores need of these data, made once for all; nothing that is drawn."""
        if what not in self.memo:
            self.memo[what] = make()
        return self.memo[what]


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """A question put to one input at a time, and how its state is learned from training data.

    Args:
        function: (seen, /, state, *, settings) -> [n], larger = stranger: what it reads of an input
            as positional-only parameters out of `SEEN`, the tensors that `fit` made as ordinary
            ones, settings as keyword-only ones. Pure tensor code that `torch.export` can read.
        fit: (known, *, settings[, generator]) -> the state, a tensor for each ordinary parameter.
        says: What it measures, in one sentence.
        caution: When it misleads.
        paper: Where it comes from.
        linear: Whether the fit needs a linear head.
    """

    function: Callable[..., Tensor]
    fit: Callable[..., dict[str, Tensor]]
    says: str
    caution: str
    paper: Paper
    linear: bool = False

    @property
    def name(self) -> str:
        """The function's name, which is also its file's."""
        return self.function.__name__

    @property
    def seen(self) -> tuple[str, ...]:
        """What it reads of an input: some of `SEEN`."""
        return _parameters(self.function, POSITIONAL_ONLY)

    @property
    def state(self) -> tuple[str, ...]:
        """The tensors that it keeps of training."""
        return _parameters(self.function, POSITIONAL)

    @property
    def settings(self) -> Mapping[str, Any]:
        """Settings with their defaults: of the fit, then of the score."""
        return {**keyword_defaults(self.fit), **keyword_defaults(self.function)}

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return (inspect.getdoc(self.function) or "").split("\n")[0]

    def missing(self, known: Known) -> str | None:
        """Why it cannot be fitted on this network and data; None if it can."""
        if "inputs" in self.seen and known.tokens:
            return "token numbers have no distance: take a score of features or logits"
        if "logits" in self.seen and known.logits is None:
            return "the network does no classification"
        if "features" in self.seen and known.features is None:
            return "the network has no layer that offmap can take as a head: set feature_layer"
        if self.linear and known.head is None:
            return "the network has no linear head"
        return None

    def fitted(
        self, known: Known, *, generator: torch.Generator, **settings: object
    ) -> "FittedScore":
        """The score with what it learned of training data.

        Raises:
            ValueError: If a setting is unknown, or the score cannot be fitted here.
        """
        for name, value in settings.items():
            if name not in self.settings:
                raise ValueError(
                    f"score {self.name}: expected a setting out of "
                    f"{', '.join(self.settings) or '(none)'}, got {name!r}"
                )
            settings[name] = like(self.settings[name], value, f"{self.name}.{name}")
        if (reason := self.missing(known)) is not None:
            raise ValueError(f"score {self.name} cannot be fitted: {reason}")
        bound = dict(self.settings) | settings
        own = {name: bound[name] for name in keyword_defaults(self.fit)}
        if is_stochastic(self.fit):
            own["generator"] = generator
        return FittedScore(self, self.fit(known, **own), bound)


class FittedScore(nn.Module):
    """A score and its state, as a module: `forward(seen) -> [n]`, float64, larger = stranger.

    Args:
        score: The score.
        state: A tensor for each name in `score.state`.
        settings: Every setting with its value.

    Raises:
        ValueError: If the state's names are others, or a value in it is not finite.
    """

    _tiles: Tiles | None

    def __init__(
        self, score: Score, state: Mapping[str, Tensor], settings: Mapping[str, Any]
    ) -> None:
        super().__init__()
        if set(state) != set(score.state):
            raise ValueError(
                f"score {score.name}: expected the state {', '.join(score.state) or '(none)'}, "
                f"got {', '.join(state) or '(none)'}"
            )
        for name in score.state:
            if state[name].is_floating_point() and not bool(state[name].isfinite().all()):
                raise ValueError(f"score {score.name}: expected finite {name}, got NaN or infinity")
            self.register_buffer(name, _whole(state[name].detach()))
        self.score, self.settings = score, dict(settings)
        self._seen, self._state = score.seen, score.state  # read once: signatures are slow
        self._bound = {name: settings[name] for name in keyword_defaults(score.function)}
        self._searched: dict[str, object] = {}
        self._measure_bank()
        self.register_load_state_dict_post_hook(lambda module, _: module._measure_bank())

    def _measure_bank(self) -> None:
        """Find what every search of a bank needs: the lengths of its rows, and a screen."""
        bank = dict(self.named_buffers()).get("bank")
        self._tiles = None if bank is None else Tiles(bank, lengths(bank), worthwhile(bank))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "FittedScore":
        """What `to` and its like do; what was found of a bank holds for one type of numbers."""
        super()._apply(fn, recurse)
        self._measure_bank()
        return self

    def searching(self, bank: object) -> "FittedScore":
        """The same score, which looks neighbors up in another index of the same rows.

        Args:
            bank: Has `nearest(queries, k) -> (distance, index)`, as a `FaissIndex` of `self.bank`.

        Raises:
            InputError: If this score looks nothing up.
        """
        if "bank" not in self.score.state:
            raise InputError(f"score {self.score.name}: expected one with a bank to search")
        state = {name: getattr(self, name) for name in self.score.state}
        other = FittedScore(self.score, state, self.settings)
        other._searched = {"bank": bank}
        return other

    def forward(self, seen: Seen) -> Float[Tensor, " n"]:
        """How strange each row is."""
        given = [getattr(seen, name) for name in self._seen]
        state = {name: getattr(self, name) for name in self._state}
        if self._tiles is not None:
            state["bank"] = self._tiles._replace(bank=self.bank)
        return self.score.function(*given, **(state | self._searched), **self._bound).double()


def score(
    *,
    fit: Callable[..., dict[str, Tensor]],
    says: str,
    caution: str,
    paper: Paper,
    linear: bool = False,
) -> Callable[[Callable[..., Tensor]], Score]:
    """Make a score of a function. What is said here is all that offmap knows of it.

    Raises:
        TypeError: If the function reads something that is not in `SEEN`, or a setting has two
            defaults.
    """

    def wrap(function: Callable[..., Tensor]) -> Score:
        unit = Score(function, fit, says, caution, paper, linear)
        for word in unit.seen:
            if word not in SEEN:
                raise TypeError(
                    f"score {unit.name} reads {word!r}: expected one of {', '.join(SEEN)} before "
                    "the /, and the state behind it"
                )
        one, other = keyword_defaults(fit), keyword_defaults(function)
        for name in one.keys() & other.keys():
            if one[name] != other[name]:
                raise TypeError(f"score {unit.name}: expected one default for setting {name}")
        return unit

    return wrap


def nothing(known: Known) -> dict[str, Tensor]:
    """The fit of a score that needs no training data."""
    return {}


def _whole(part: Tensor) -> Tensor:
    """In memory of its own and in order: a piece of a larger tensor would keep all of that."""
    part = part.contiguous()
    return part if part.untyped_storage().nbytes() == part.nbytes else part.clone()


def _parameters(function: Callable[..., Any], kind: Any) -> tuple[str, ...]:
    parameters = inspect.signature(function).parameters.items()
    return tuple(name for name, parameter in parameters if parameter.kind is kind)
