"""What is audited: a model, its data, and whatever else is known of how it came to be."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.optim import Optimizer

from offmap.attempt import InputError
from offmap.table import Subset, Table, TensorTable, Window, as_table

Task = Literal["classification", "regression", "reconstruction", "tokens"]
Kind = Literal["image", "vector", "tokens"]
Loss = Callable[[Tensor, Tensor], Tensor]

DEFAULT_MEMORY = 4 * 2**30


class Split:
    """Examples in a fixed order, read in batches; row i is row i everywhere. May exceed memory.

    Args:
        inputs: [n, ...], a tensor or a `Table`.
        targets: [n, ...]; integers are classes (or next tokens, [n, t]), floats are regression
            targets. None: nobody knows them, or (reconstruction) they are the inputs.
        groups: [n], an integer group for each example.
        name: How messages and reports call it.
        memory: Bytes that `inputs` may take when asked for as one tensor.
        class_names: What the source calls the classes (or tokens), by number.

    Raises:
        InputError: If the lengths differ.
    """

    __slots__ = ("class_names", "groups", "known_targets", "memory", "name", "table")

    def __init__(
        self,
        inputs: Tensor | Table,
        targets: Tensor | None = None,
        *,
        groups: Int[Tensor, " n"] | None = None,
        name: str = "split",
        memory: int = DEFAULT_MEMORY,
        class_names: Sequence[str] | None = None,
    ) -> None:
        self.class_names = None if class_names is None else tuple(class_names)
        self.table = as_table(inputs)
        self.known_targets = targets
        self.groups = groups
        self.name = name
        self.memory = memory
        for what, values in (("targets", targets), ("groups", groups)):
            if values is not None and len(values) != len(self.table):
                raise InputError(
                    f"{name}: expected as many {what} as inputs, "
                    f"got {len(values)} {what} for {len(self.table)} inputs"
                )

    def __len__(self) -> int:
        return len(self.table)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return self.table.shape

    @property
    def inputs(self) -> Tensor:
        """All inputs as one tensor [n, ...].

        Raises:
            InputError: If they exceed the memory budget.
        """
        if self.table.nbytes > self.memory and not isinstance(self.table, TensorTable):
            raise InputError(
                f"{self.name}: all inputs at once take {self.table.nbytes:,} bytes, more than the "
                f"memory budget of {self.memory:,}: read them with batches() or take()"
            )
        return self.table.read(0, len(self))

    @property
    def targets(self) -> Tensor:
        """What the model should say [n, ...]; the inputs themselves where nothing else is known."""
        return self.inputs if self.known_targets is None else self.known_targets

    def take(self, rows: Tensor) -> "Split":
        """The examples at positions `rows` [m], in that order. Nothing is read yet."""
        rows = rows.long()
        table = self.table
        return Split(
            TensorTable(table.take(rows))
            if isinstance(table, TensorTable)
            else Subset(table, rows),
            None if self.known_targets is None else self.known_targets[rows],
            groups=None if self.groups is None else self.groups[rows],
            name=self.name,
            memory=self.memory,
            class_names=self.class_names,
        )

    def part(self, start: int, stop: int) -> "Split":
        """Examples `start` to `stop` (exclusive), read into memory."""
        return Split(
            self.table.read(start, stop),
            None if self.known_targets is None else self.known_targets[start:stop],
            groups=None if self.groups is None else self.groups[start:stop],
            name=self.name,
            memory=self.memory,
            class_names=self.class_names,
        )

    def window(self, start: int, stop: int) -> "Split":
        """Examples `start` to `stop` (exclusive). Nothing is read yet."""
        return Split(
            Window(self.table, start, stop),
            None if self.known_targets is None else self.known_targets[start:stop],
            groups=None if self.groups is None else self.groups[start:stop],
            name=self.name,
            memory=self.memory,
            class_names=self.class_names,
        )

    def batches(self, size: int) -> Iterator["Split"]:
        """All examples in order, `size` at a time, each batch in memory."""
        for start in range(0, len(self), size):
            yield self.part(start, min(start + size, len(self)))

    def renamed(self, name: str, memory: int | None = None) -> "Split":
        """The same examples under another name and memory budget."""
        return Split(
            self.table,
            self.known_targets,
            groups=self.groups,
            name=name,
            memory=memory or self.memory,
            class_names=self.class_names,
        )

    def with_targets(self, targets: Tensor) -> "Split":
        """The same inputs with other targets [n, ...]."""
        return Split(
            self.table,
            targets,
            groups=self.groups,
            name=self.name,
            memory=self.memory,
            class_names=self.class_names,
        )


Trainer = Callable[[Split, torch.Generator], nn.Module]  # sets its own grad mode and random state


@dataclass(frozen=True, slots=True)
class Domain:
    """The contract of an input.

    `low` and `high` bound every number of it (None: unbounded). `inferred` says that nobody
    stated the domain and offmap read it off the data.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    low: float | None = None
    high: float | None = None
    kind: Kind = "vector"
    inferred: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """What happened to each training example while the model was trained.

    `correct[e, i]`: whether example i was classified correctly after epoch e.
    """

    correct: Bool[Tensor, "epochs n"]
    loss: Float[Tensor, " epochs"] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """The weights after `epoch` epochs."""

    epoch: float
    weights: Mapping[str, Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Recipe:
    """How the user trains, minus data and seed.

    Args:
        build: A fresh model; its initial weights come from torch's random state.
        optimizer: The optimizer of the parameters it is given.
        loss: Mean loss of outputs and targets.
        epochs: Passes over the data.
        batch_size: Examples in an update.
        schedule: The learning-rate schedule, from the optimizer and the number of updates.
    """

    build: Callable[[], nn.Module]
    optimizer: Callable[[Any], Optimizer]
    loss: Loss
    epochs: int
    batch_size: int
    schedule: Callable[[Optimizer, int], torch.optim.lr_scheduler.LRScheduler] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class TrainingRun:
    """Everything that is known of one trained model. Only the engine reads it.

    Args:
        model: The trained network.
        train: What it was trained on.
        test: Fresh data from the same source.
        shifts: Data from elsewhere, by name.
        domain: The contract of an input; inferred from the data where None.
        checkpoints: Weights on the way.
        history: What happened to each training example.
        recipe: How it was trained: with it, measures that retrain can run.
        task: Inferred from the targets where None.
        feature_layer: The module whose *input* is the feature vector, as in `named_modules()`;
            the last linear layer where None.
        class_names: How people call the classes; as the splits' source calls them where None.
        name: How the report calls the run.

    Raises:
        InputError: If there is no data at all, a split has no examples, a shift takes a
            reserved name, or two splits number their classes differently.
    """

    model: nn.Module
    train: Split | None = None
    test: Split | None = None
    shifts: Mapping[str, Split] = field(default_factory=dict)
    domain: Domain | None = None
    checkpoints: Sequence[Checkpoint] = ()
    history: History | None = None
    recipe: Recipe | None = None
    task: Task | None = None
    feature_layer: str | None = None
    class_names: Sequence[str] | None = None
    name: str = "model"

    def __post_init__(self) -> None:
        if self.train is None and self.test is None:
            raise InputError("expected a train or a test split, got neither")
        for reserved in {"train", "test", "all", ""} & set(self.shifts):
            raise InputError(f"expected another name for the shift {reserved!r}: it is reserved")
        named = {name: split.renamed(name) for name, split in self.shifts.items()}
        object.__setattr__(self, "shifts", named)
        for name in ("train", "test"):
            split = getattr(self, name)
            if split is not None:
                object.__setattr__(self, name, split.renamed(name))
        for name, split in self.splits.items():
            if not len(split):
                raise InputError(f"{name}: expected at least one example, got none")
        if self.task is None:
            object.__setattr__(self, "task", _infer_task(self.train, self.test))
        names = _common_names(self.splits)
        if self.class_names is None:
            object.__setattr__(self, "class_names", names)

    @property
    def splits(self) -> dict[str, Split]:
        """Every split by name: train, test, then the shifts."""
        ends = {"train": self.train, "test": self.test}
        return {name: split for name, split in ends.items() if split is not None} | dict(
            self.shifts
        )

    def with_memory(self, memory: int) -> "TrainingRun":
        """The same run with another memory budget, in bytes, for each split."""
        values = {name: getattr(self, name) for name in self.__slots__}
        for name in ("train", "test"):
            if values[name] is not None:
                values[name] = values[name].renamed(name, memory)
        values["shifts"] = {k: v.renamed(k, memory) for k, v in self.shifts.items()}
        return TrainingRun(**values)


def _infer_task(*splits: Split | None) -> Task:
    """Integers [n]: classes; integers [n, t]: tokens; floats: regression; none: reconstruction."""
    known = [split.known_targets for split in splits if split is not None]
    targets = next((values for values in known if values is not None), None)
    if targets is None:
        return "reconstruction"
    if targets.is_floating_point():
        return "regression"
    return "tokens" if targets.ndim == 2 and targets.shape[1] > 1 else "classification"


def _common_names(splits: Mapping[str, Split]) -> tuple[str, ...] | None:
    """What the splits' sources call the classes: the same everywhere, or class 3 is two things.

    Raises:
        InputError: If two splits differ.
    """
    named = {name: split.class_names for name, split in splits.items() if split.class_names}
    first, known = next(iter(named.items()), ("", None))
    for name, names in named.items():
        if names != known:
            raise InputError(
                f"{name}: expected the classes that {first} has, numbered as there, got others: "
                f"load it with class_names of {first}"
            )
    return known
