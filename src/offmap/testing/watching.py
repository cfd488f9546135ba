"""What a measure does to the world around it, and what it makes the network do."""

import copy
import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from offmap.engine.graph import Task
from offmap.engine.ledger import Result
from offmap.run import Split, TrainingRun

Way = Literal["forward", "backward"]


@dataclass(slots=True)
class Tally:
    """Examples that went through the model, either way, and networks that were built.

    It counts while `on`: while a task of the audit is at work.
    """

    forward: float = 0.0
    backward: float = 0.0
    built: int = 0
    on: bool = False

    # As the audit's watcher: what is planned, surveyed and drawn costs no measure anything.

    def begin(self, tasks: Iterable[Task], reused: int) -> None:
        """See `Watcher.begin`."""

    def start(self, task: Task) -> None:
        """See `Watcher.start`."""
        self.on = True

    def finish(self, task: Task, result: Result | None) -> None:
        """See `Watcher.finish`."""
        self.on = False


class _Counted(torch.autograd.Function):
    """The identity; counts what passes through it, forward and back.

    Under `torch.func.vmap` a tensor hides how many examples it holds. `vmap` below hands it on
    without that disguise, so that per-example gradients are counted like any others.
    """

    @staticmethod
    def forward(values: Tensor, size: int, tally: Tally, way: Way) -> Tensor:
        if tally.on:
            setattr(tally, way, getattr(tally, way) + values.numel() / size)
        return values.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _, *ctx.given = inputs

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        size, tally, _ = ctx.given
        return _Counted.apply(slopes[0], size, tally, "backward"), None, None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> Tensor:
        return _Counted.apply(tangents[0], *ctx.given)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *given: Any) -> tuple[Tensor, int]:
        return _Counted.apply(*given), in_dims[0]


def counted(run: TrainingRun) -> tuple[TrainingRun, Tally]:
    """A copy of a run whose data is in memory, and a tally of what is done with its model."""
    tally = Tally()
    model = copy.deepcopy(run.model)
    for one, other in zip(model.parameters(), run.model.parameters(), strict=True):
        one.grad = None if other.grad is None else other.grad.clone()

    def count(_: nn.Module, __: object, out: object) -> object:
        if not isinstance(out, Tensor):
            return out
        size = max(1, out[0].numel())  # of the output for one example
        return _Counted.apply(out, size, tally, "forward")

    model.register_forward_hook(count)
    recipe = run.recipe
    if recipe is not None:
        build = recipe.build

        def counting_build() -> nn.Module:
            tally.built += tally.on
            return build()

        recipe = replace(recipe, build=counting_build)
    splits = {name: _copied(split) for name, split in run.splits.items()}
    train, test = splits.pop("train", None), splits.pop("test", None)
    return replace(run, model=model, recipe=recipe, train=train, test=test, shifts=splits), tally


def _copied(split: Split) -> Split:
    targets, groups = split.known_targets, split.groups
    return Split(
        split.inputs.clone(),
        None if targets is None else targets.clone(),
        groups=None if groups is None else groups.clone(),
        class_names=split.class_names,
    )


@contextmanager
def global_randomness(seed: int) -> Iterator[None]:
    """Other global random states in this block, those of before after it.

    Python's is another object as well, since beartype, where it checks types, draws from the old.
    """
    python, numpy = random.getstate(), np.random.get_state()
    shared, other = random.random.__self__, random.Random(seed)
    ours = [name for name, f in vars(random).items() if getattr(f, "__self__", None) is shared]
    before = {name: getattr(random, name) for name in ours}
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        try:
            for name in ours:
                setattr(random, name, getattr(other, name))
            yield
        finally:
            for name, function in before.items():
                setattr(random, name, function)
            random.setstate(python)
            np.random.set_state(numpy)


def shared_state() -> dict[str, object]:
    """What all code of this process shares and no unit may change, by what to call it."""
    name, keys, *rest = np.random.get_state()
    return {
        "torch's random state": _bits(torch.get_rng_state()),
        "numpy's random state": (name, np.asarray(keys).tobytes(), *rest),
        "Python's random state": random.getstate(),
        "the grad mode": torch.is_grad_enabled(),
        "torch's default dtype": torch.get_default_dtype(),
        "torch's number of threads": torch.get_num_threads(),
    }


def state(run: TrainingRun) -> dict[str, object]:
    """Everything that a measure must leave as it found it, by what to call it."""
    seen = shared_state()
    for name, module in run.model.named_modules():
        seen[f"the training mode of {name or 'the model'}"] = module.training
        seen[f"the hooks of {name or 'the model'}"] = tuple(
            len(hooks) for kind, hooks in sorted(vars(module).items()) if kind.endswith("_hooks")
        )
    for name, weight in run.model.named_parameters():
        seen[f"requires_grad of {name}"] = weight.requires_grad
        seen[f".grad of {name}"] = None if weight.grad is None else _bits(weight.grad)
    for name, weight in run.model.state_dict().items():
        seen[f"the weight or buffer {name}"] = _bits(weight)
    for name, split in run.splits.items():
        for what in ("inputs", "known_targets", "groups"):
            values = getattr(split, what)
            seen[f"the {what} of {name}"] = None if values is None else _bits(values)
    return seen


def _bits(values: Tensor) -> bytes:
    return values.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
