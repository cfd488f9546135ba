"""What a measure may ask for by naming a parameter: the closed vocabulary, and its records.

Fields of the run stand under their own names. Whatever is computed for a split (`predictions`,
`features`, `neighbors`, ...) can be asked for on the split being read, or with a prefix: `train_`,
`test_`, or `all_` (a mapping from test and every shift to its value).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from offmap.attempt import InputError
from offmap.passes import (
    BATCH,
    captured,
    device_of,
    evaluating,
    feature_layer,
    flat,
    named_layer,
    weight_layers,
)
from offmap.run import Split, TrainingRun
from offmap.table import Table

LAYER_EXAMPLES = 1000  # rows of a split that `layers` looks at
MEMORY_SHARE = 8  # the outputs of layers may take this part of the budget


class Predictions(ABC):
    """What the model said about each example, set against the truth."""

    @property
    @abstractmethod
    def error(self) -> Float[Tensor, " n"]:
        """How wrong each answer is, float64: 0 or 1 for classes, squared error otherwise."""

    @property
    @abstractmethod
    def loss(self) -> Float[Tensor, " n"]:
        """Negative log-likelihood in nats, or squared error, of each example, float64."""

    def __len__(self) -> int:
        return len(self.error)


@dataclass(frozen=True)
class ClassPredictions(Predictions):
    """Classification: `logits` [n c] in the model's own type and `targets` [n]."""

    logits: Float[Tensor, "n c"]
    targets: Int[Tensor, " n"]

    @cached_property
    def log_probs(self) -> Float[Tensor, "n c"]:
        """Log-softmax of the logits, float64."""
        return self.logits.double().log_softmax(dim=-1)

    @cached_property
    def probs(self) -> Float[Tensor, "n c"]:
        """Softmax of the logits, float64."""
        return self.log_probs.exp()

    @cached_property
    def labels(self) -> Int[Tensor, " n"]:
        """The class that the model chose."""
        return self.logits.argmax(dim=-1)

    @cached_property
    def correct(self) -> Bool[Tensor, " n"]:
        """Whether it chose the target."""
        return self.labels == self.targets

    @property
    def error(self) -> Float[Tensor, " n"]:
        """1 where the model chose another class, else 0."""
        return (~self.correct).double()

    @property
    def loss(self) -> Float[Tensor, " n"]:
        """Cross-entropy in nats."""
        return -self.log_probs.gather(1, self.targets[:, None]).squeeze(1)


@dataclass(frozen=True)
class RealPredictions(Predictions):
    """Regression: `outputs` [n ...] and `targets` of the same shape.

    Raises:
        InputError: If the shapes differ: subtracting [n] from [n, 1] would give [n, n].
    """

    outputs: Float[Tensor, "n ..."]
    targets: Float[Tensor, "n ..."]

    def __post_init__(self) -> None:
        if self.outputs.shape != self.targets.shape:
            raise InputError(
                f"expected outputs shaped like the targets, {list(self.targets.shape)}, "
                f"got {list(self.outputs.shape)}: reshape one of them"
            )

    @property
    def error(self) -> Float[Tensor, " n"]:
        """Mean squared error of each example over its outputs."""
        squares = (self.outputs.double() - self.targets.double()).square()
        return squares.reshape(len(squares), -1).mean(dim=1)

    @property
    def loss(self) -> Float[Tensor, " n"]:
        """The same as `error`."""
        return self.error


@dataclass(frozen=True)
class ReconstructionPredictions(Predictions):
    """Reconstruction: `errors` [n], the mean squared difference of output and input."""

    errors: Float[Tensor, " n"]

    @property
    def error(self) -> Float[Tensor, " n"]:
        """Mean squared error of each example over its elements."""
        return self.errors.double()

    @property
    def loss(self) -> Float[Tensor, " n"]:
        """The same as `error`."""
        return self.error


@dataclass(frozen=True)
class TokenPredictions(Predictions):
    """Next-token prediction: `nll` [n t] in nats and `hits` [n t] for each position."""

    nll: Float[Tensor, "n t"]
    hits: Bool[Tensor, "n t"]

    @property
    def error(self) -> Float[Tensor, " n"]:
        """Share of positions at which another token was thought likeliest."""
        return (~self.hits).double().mean(dim=1)

    @property
    def loss(self) -> Float[Tensor, " n"]:
        """Mean cross-entropy over positions, in nats."""
        return self.nll.double().mean(dim=1)


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """The input of the head, one vector for each example; may exceed memory.

    `layer` is the name of the module whose input it is.
    """

    table: Table
    layer: str
    memory: int

    def __len__(self) -> int:
        return len(self.table)

    @property
    def dimension(self) -> int:
        """Length of a feature vector."""
        return self.table.shape[0]

    @property
    def values(self) -> Float[Tensor, "n d"]:
        """All of them at once; refused above the memory budget.

        Raises:
            InputError: If they take more than the budget.
        """
        if self.table.nbytes > self.memory:
            raise InputError(
                f"features of {self.layer!r} take {self.table.nbytes:,} bytes, more than the "
                f"budget of {self.memory:,}: read them with chunks() or take()"
            )
        return self.table.read(0, len(self))

    def take(self, rows: Tensor) -> Float[Tensor, "m d"]:
        """The vectors at positions `rows` [m]."""
        return self.table.take(rows)

    def chunks(self) -> Iterator[Float[Tensor, "m d"]]:
        """All vectors in order, about 40 MiB at a time."""
        return self.table.chunks()


@dataclass(frozen=True, slots=True, eq=False)
class TrainNeighbors:
    """The nearest training examples of rows of a split, by Euclidean distance, nearest first.

    On the training split itself the example is left out, and `rows` [m] is a random sample; on
    other splits it is every row in order. `distance` [m k] is float64, `index` [m k] a row of
    the training split.
    """

    rows: Int[Tensor, " m"]
    distance: Float[Tensor, "m k"]
    index: Int[Tensor, "m k"]


class Layers:
    """What each layer makes of a sample of a split's examples; computed when asked for.

    Args:
        model: The network.
        split: Where the examples come from.
        rows: Which of them, [m].
    """

    def __init__(self, model: nn.Module, split: Split, rows: Int[Tensor, " m"]) -> None:
        self.model, self.split, self.rows = model, split, rows
        self.names = weight_layers(model)

    def __iter__(self) -> Iterator[tuple[str, Float[Tensor, "m d"]]]:
        """Name and output of each layer with a weight matrix, one vector for each example.

        Layers whose outputs fit into the budget together are computed together. A layer that the
        model never calls, or whose output is not one row an example (an embedding of positions),
        is passed over.
        """
        for names in self._together():
            found = self._read(names)
            for name in names:
                yield name, found.pop(name)

    def read(self, name: str) -> Float[Tensor, "m d"]:
        """The output of one layer, flattened; rows as in `rows`."""
        return self._read([name])[name]

    def _read(self, names: list[str]) -> dict[str, Tensor]:
        pieces: dict[str, list[Tensor]] = {name: [] for name in names}
        for rows in self.rows.split(BATCH):
            for name, values in self._pass(rows, names).items():
                pieces[name].append(values)
        return {name: torch.cat(values) for name, values in pieces.items()}

    def _pass(self, rows: Int[Tensor, " b"], names: Sequence[str]) -> dict[str, Tensor]:
        with evaluating(self.model), captured(self.model, outputs_of=names) as caught:
            self.model(self.split.take(rows).inputs.to(device_of(self.model)))
        return {
            name: flat(caught[name])
            for name in names
            if name in caught and caught[name].shape[:1] == rows.shape
        }

    def _together(self) -> Iterator[list[str]]:
        """Names in their order, in groups that take at most a share of the memory budget."""
        names: list[str] = []
        most, taken = self.split.memory // MEMORY_SHARE, 0
        # Two examples: with one, what is the same for all would look like one row an example.
        for name, values in self._pass(self.rows[:2], self.names).items():
            size = values[0].nbytes * len(self.rows)
            if names and taken + size > most:
                yield names
                names, taken = [], 0
            names.append(name)
            taken += size
        if names:
            yield names


# ------------------------------------------------------------------------------- the vocabulary


@dataclass(frozen=True, slots=True)
class Word:
    """A name that a measure may ask for.

    Args:
        says: What it is, in one sentence.
        per_split: Whether it belongs to one split.
        work: The computations over that split from which it is made.
        missing: Why a run (and split) cannot give it; None if it can.
    """

    says: str
    per_split: bool
    work: tuple[str, ...]
    missing: Callable[[TrainingRun, Split | None], str | None]


def _field(name: str) -> Callable[[TrainingRun, Split | None], str | None]:
    def missing(run: TrainingRun, _: Split | None) -> str | None:
        value = getattr(run, name)
        empty = value is None or (isinstance(value, (tuple, list, dict)) and not value)
        split = " split" if name in ("train", "test") else ""
        return f"the run has no {name}{split}" if empty else None

    return missing


def _no_groups(_: TrainingRun, split: Split | None) -> str | None:
    return f"split {split.name!r} has no groups" if split and split.groups is None else None


def _no_targets(run: TrainingRun, split: Split | None) -> str | None:
    if split and split.known_targets is None and run.task != "reconstruction":
        return f"split {split.name!r} has no targets"
    return None


def head_name(run: TrainingRun) -> str | None:
    """The layer whose input is the feature vector: as set, or the last linear one."""
    return run.feature_layer or feature_layer(run.model)


def _no_layer(run: TrainingRun, _: Split | None) -> str | None:
    if head_name(run) is None:
        return "the model shows no linear layer (is it an exported program?): set feature_layer"
    return None


def _no_head(run: TrainingRun, _: Split | None) -> str | None:
    name = head_name(run)
    if name is None or not isinstance(named_layer(run.model, name), nn.Linear):
        return "the model has no linear head that offmap can see"
    return None


def _no_layers(run: TrainingRun, _: Split | None) -> str | None:
    return None if weight_layers(run.model) else "the model shows no layers (an exported program?)"


def _no_input_distance(run: TrainingRun, _: Split | None) -> str | None:
    if run.train is None:
        return "the run has no train split to be near to"
    if run.domain is not None and run.domain.kind == "tokens":
        return "token numbers have no Euclidean distance"
    return None


def _no_feature_distance(run: TrainingRun, split: Split | None) -> str | None:
    missing = "the run has no train split to be near to" if run.train is None else None
    return missing or _no_layer(run, split)


def _never(_: TrainingRun, __: Split | None) -> str | None:
    return None


_DERIVED = {
    "groups": Word("The group of each example [n].", True, (), _no_groups),
    "predictions": Word("What the model says of each example.", True, ("forward",), _no_targets),
    "features": Word("The input of the head for each example.", True, ("features",), _no_layer),
    "neighbors": Word(
        "Nearest training examples in input space.", True, ("neighbors",), _no_input_distance
    ),
    "feature_neighbors": Word(
        "Nearest training examples in feature space.",
        True,
        ("feature_neighbors",),
        _no_feature_distance,
    ),
    "layers": Word("The output of every layer with a weight matrix.", True, (), _no_layers),
}

VOCABULARY: Mapping[str, Word] = {
    "model": Word("The trained network.", False, (), _never),
    "domain": Word("The contract of an input.", False, (), _never),
    "head": Word("The linear layer that reads the features.", False, (), _no_head),
    **{
        name: Word(f"The run's {name.replace('_', ' ')}.", False, (), _field(name))
        for name in ("train", "test", "shifts", "checkpoints", "history", "recipe", "class_names")
    },
    "split": Word("The split being read: test, then every shift.", True, (), _never),
    "all_split": Word("Test and every shift, by name.", True, (), _never),
    "per_example": Word("What the measure's own `per_example` gave.", True, (), _never),
    "replicates": Word("What the measure's own `replicate` gave, by seed.", False, (), _never),
    **_DERIVED,
    **{f"{p}_{name}": word for p in ("train", "test", "all") for name, word in _DERIVED.items()},
}


def home(word: str) -> tuple[str | None, str]:
    """Where a word is taken from, and its name there: `train_features` -> (train, features).

    None stands for the split being read.
    """
    prefix, _, rest = word.partition("_")
    named = prefix in ("train", "test", "all") and rest in _DERIVED
    return (prefix, rest) if named or word == "all_split" else (None, word)
