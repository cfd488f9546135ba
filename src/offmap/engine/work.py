"""How one task is performed, and what measures are called with."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from offmap.catalog import measures
from offmap.codec import decode, encode
from offmap.engine.graph import LEAVE_ONE_OUT, Task
from offmap.engine.workload import Results
from offmap.inputs import (
    LAYER_EXAMPLES,
    VOCABULARY,
    ClassPredictions,
    Features,
    Layers,
    Predictions,
    RealPredictions,
    ReconstructionPredictions,
    TokenPredictions,
    TrainNeighbors,
    head_name,
    home,
)
from offmap.measure import is_stochastic, keyword_defaults, positional
from offmap.numerics.neighbors import search
from offmap.passes import captured, evaluating, flat, named_layer, outputs
from offmap.plan import splits_of
from offmap.reading import Reading
from offmap.run import Split, TrainingRun
from offmap.seeds import derive, sample
from offmap.table import Parts, Table

NEIGHBORS = 20  # as many as estimates of dimension take; twice those of ten cost a tenth more
MEMORY_SHARE = 4  # a search may take this part of the budget


@dataclass(frozen=True, slots=True)
class Context:
    """What every task is given: the run, and the root of its random numbers."""

    run: TrainingRun
    seed: int

    def perform(self, task: Task, results: Results) -> dict[str, Tensor] | Reading:
        """Do one task; see `perform`."""
        return perform(task, self, results)

    def shipped(self) -> "Context":
        """As every node can read it: splits that fit in memory are taken along.

        A split larger than its memory budget stays in its files, which every node must then see.
        """
        run = self.run
        shifts = {name: _near(split) for name, split in run.shifts.items()}
        near = replace(run, train=_near(run.train), test=_near(run.test), shifts=shifts)
        return replace(self, run=near)

    def code(self) -> Sequence[object]:
        """Classes and functions of the user's own, which workers cannot import."""
        parts: list[object] = [type(module) for module in self.run.model.modules()]
        if self.run.recipe is not None:
            recipe = self.run.recipe
            parts += [recipe.build, recipe.optimizer, recipe.loss, recipe.schedule]
        return parts

    def on_gpu(self) -> bool:
        """Whether the model is on a GPU."""
        return next(self.run.model.parameters(), torch.empty(0)).is_cuda


def _near(split: Split | None) -> Split | None:
    """The split in memory, where that is not too much for it."""
    if split is None or split.table.nbytes > split.memory or split.table.travels:
        return split
    return Split(
        split.inputs, split.known_targets, groups=split.groups, name=split.name,
        memory=split.memory,
    )  # fmt: skip


# --------------------------------------------------------------------------- performing one task


def perform(task: Task, context: Context, results: Results) -> dict[str, Tensor] | Reading:
    """Do one task. The same task gives the same bits wherever it is done."""
    if task.kind == "pass":
        return _pass(task, context.run)
    if task.kind in ("neighbors", "feature_neighbors"):
        return _search(task, context, results)
    unit = measures()[task.unit]
    if task.kind == "reading":
        function = unit.function
    else:
        function = unit.inner
        assert function is not None
    run = context.run
    values = {word: _give(word, task, context, results) for word in positional(function)}
    if task.kind == "per_example":
        values["split"] = run.splits[task.split].window(task.start, task.stop)
    settings: dict[str, object] = {
        name: value for name, value in task.settings if name in keyword_defaults(function)
    }
    if is_stochastic(function):
        settings["generator"] = derive(
            context.seed, task.unit, task.split, task.kind, task.index, task.start
        )
    return _checked(function(*values.values(), **settings), task)


def _checked(answer: Any, task: Task) -> dict[str, Tensor] | Reading:
    """What a measure gave, if it can be kept: an error here is one measure's, not the audit's.

    Raises:
        TypeError: If it is something else.
    """
    if task.kind == "reading":
        if not isinstance(answer, Reading):
            raise TypeError(f"expected {task.unit} to return a Reading, got {type(answer)}")
        decode(encode(answer))  # refuses what no report can hold
        return answer
    rows = task.stop - task.start if task.kind == "per_example" else None
    shape = tuple(answer.shape) if isinstance(answer, Tensor) else ()
    if not shape or rows not in (None, shape[0]):
        raise TypeError(
            f"expected {task.kind} of {task.unit} to return a tensor [{rows or 'c'}, ...], "
            f"got {shape or type(answer)}"
        )
    return {"rows": answer.detach()}


def _pass(task: Task, run: TrainingRun) -> dict[str, Tensor]:
    """Outputs of the model on a shard, and the features on the way."""
    layer = head_name(run) if "features" in task.wants else None
    pieces: dict[str, list[Tensor]] = {}
    shard = run.splits[task.split].window(task.start, task.stop)
    with evaluating(run.model), captured(run.model, inputs_of=layer) as caught:
        for batch, out in outputs(run.model, shard, first_row=task.start):
            kept = _answers(run, batch, out) if "answers" in task.wants else {}
            if layer is not None:
                kept["features"] = flat(caught[layer])
            for name, value in kept.items():
                pieces.setdefault(name, []).append(value.detach().cpu())
    return {name: torch.cat(values) for name, values in pieces.items()}


def _answers(run: TrainingRun, batch: Split, out: Tensor) -> dict[str, Tensor]:
    """What is kept of the model's outputs [b, ...]: no more than later statistics need."""
    if run.task == "classification":
        return {"logits": out}
    if run.task == "regression":
        return {"outputs": out}
    if run.task == "reconstruction":
        gap = out.double() - batch.inputs.to(out.device).double()
        return {"errors": gap.square().flatten(1).mean(dim=1)}
    targets = batch.targets.to(out.device)
    nll = torch.nn.functional.cross_entropy(
        out.float().flatten(0, 1), targets.flatten(), reduction="none"
    )
    return {"nll": nll.view(targets.shape), "hits": out.argmax(dim=-1) == targets}


def _search(task: Task, context: Context, results: Results) -> dict[str, Tensor]:
    """Nearest training examples of a shard of a split's inputs or features."""
    run = context.run
    assert run.train is not None
    in_features = task.kind == "feature_neighbors"
    if in_features:
        bank = _column(task, results, "pass", "train", "features")
        queries = _column(task, results, "pass", task.split, "features")
    else:
        bank, queries = run.train.table, run.splits[task.split].table
    rows = query_rows(context, task.split)[task.start : task.stop]
    own = task.split == "train"
    found = search(
        queries.take(rows).flatten(1),
        bank,
        k=min(NEIGHBORS, len(bank) - own),
        exclude=rows if own else None,
        memory=run.train.memory // MEMORY_SHARE,
    )
    return {"distance": found.distance.cpu(), "index": found.index.cpu()}


def query_rows(context: Context, split: str) -> Tensor:
    """The rows of a split whose neighbors are looked up: all, or a sample of train."""
    n = len(context.run.splits[split])
    return sample(context.seed, "leave-one-out", n, LEAVE_ONE_OUT if split == "train" else n)


# -------------------------------------------------------------------- what a measure is called with


def _give(word: str, task: Task, context: Context, results: Results) -> object:
    """The value of one word of the vocabulary, for a measure that reads `task.split`."""
    run = context.run
    prefix, base = home(word)
    if word == "per_example":
        return _column(task, results, "inner", task.split, "rows").all()
    if word == "replicates":
        keys = next(keys for work, _, keys in task.sources if work == "inner")
        return torch.stack([results[key]["rows"].all() for key in keys])
    if word == "head":
        return named_layer(run.model, head_name(run) or "")
    if not VOCABULARY[word].per_split:
        return getattr(run, word)
    if prefix == "all":
        names = splits_of(run, word, task.split)
        return {name: _of_split(base, name, task, context, results) for name in names}
    return _of_split(base, prefix or task.split, task, context, results)


def _of_split(base: str, split: str, task: Task, context: Context, results: Results) -> object:
    run = context.run
    if base == "split":
        return run.splits[split]
    if base == "groups":
        return run.splits[split].groups
    if base == "layers":
        rows = sample(context.seed, f"layers of {split}", len(run.splits[split]), LAYER_EXAMPLES)
        return Layers(run.model, run.splits[split], rows)
    if base == "predictions":
        return _predictions(run, split, task, results)
    if base == "features":
        table = _column(task, results, "pass", split, "features")
        return Features(table, head_name(run) or "", run.splits[split].memory)
    distance = _column(task, results, base, split, "distance")
    index = _column(task, results, base, split, "index")
    return TrainNeighbors(query_rows(context, split), distance.all(), index.all())


def _predictions(run: TrainingRun, split: str, task: Task, results: Results) -> Predictions:
    def column(name: str) -> Tensor:
        return _column(task, results, "pass", split, name).all()

    targets = run.splits[split].known_targets
    if run.task == "reconstruction":
        return ReconstructionPredictions(column("errors"))
    if run.task == "tokens":
        return TokenPredictions(column("nll"), column("hits"))
    assert targets is not None
    if run.task == "regression":
        return RealPredictions(column("outputs"), targets)
    return ClassPredictions(column("logits"), targets.long())


def _column(task: Task, results: Results, work: str, split: str, name: str) -> Table:
    """One column of finished work over a split, as one table."""
    keys = next(keys for w, s, keys in task.sources if (w, s) == (work, split))
    return Parts([results[key][name] for key in keys])
