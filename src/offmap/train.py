"""Plain training: one loop, whose *step* is what a remedy changes; and many networks at once."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from math import ceil

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.optim import Optimizer

from offmap.attempt import CannotMeasure, InputError
from offmap.passes import device_of, evaluating
from offmap.run import History, Loss, Recipe, Split, Trainer

__all__ = [
    "Diverged", "EnsembleTrainer", "History", "HistoryRecorder", "Loss", "Recipe", "Step",
    "ensemble_trainer", "plain_step", "trainer",
]  # fmt: skip

Step = Callable[[nn.Module, Optimizer, Loss, Split], None]
Observer = Callable[[int, nn.Module], None]
EnsembleTrainer = Callable[[Split | Sequence[Split], Sequence[torch.Generator]], list[nn.Module]]

# Of these, every number of a weight has an update of its own, so weights can be stacked.
ELEMENTWISE = (
    torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.Adamax, torch.optim.NAdam,
    torch.optim.RAdam, torch.optim.RMSprop, torch.optim.Adagrad, torch.optim.Adadelta,
)  # fmt: skip
DRAWS = (nn.modules.dropout._DropoutNd, nn.RReLU, nn.MultiheadAttention)


class Diverged(CannotMeasure):
    """Training was stopped at a loss that is not finite; the message says at which update."""


def plain_step(model: nn.Module, optimizer: Optimizer, loss: Loss, batch: Split) -> None:
    """One update along the gradient of the batch."""
    optimizer.zero_grad()
    loss(model(batch.inputs), batch.targets).backward()
    optimizer.step()


def trainer(recipe: Recipe, step: Step = plain_step, *, observe: Observer | None = None) -> Trainer:
    """A function that trains a fresh model on a split, by the recipe, with the given step.

    The same generator state gives the same weights: initialization, order of the examples and
    any dropout come from it, and torch's global random state is left as it was.

    Args:
        recipe: How to train.
        step: What one update does.
        observe: Called with the number of finished epochs and the model, after each of them.

    Raises:
        Diverged: (when called) At the first loss that is not finite.
    """

    def train(split: Split, generator: torch.Generator) -> nn.Module:
        updates = count()

        def loss(answers: Tensor, targets: Tensor) -> Tensor:
            value = recipe.loss(answers, targets)
            _check_finite(value, next(updates))
            return value

        with _seeded(generator), torch.enable_grad():
            model = recipe.build()
            optimizer, schedule = _optimizer(recipe, model.parameters(), len(split))
            device = next((w.device for w in model.parameters()), torch.device("cpu"))
            for epoch in range(recipe.epochs):
                model.train()
                order = torch.randperm(len(split), generator=generator)
                for rows in order.split(recipe.batch_size):
                    step(model, optimizer, loss, _on(split.take(rows), device))
                    if schedule is not None:
                        schedule.step()
                if observe is not None:
                    observe(epoch + 1, model)
        model.zero_grad(set_to_none=True)
        return model.eval()

    return train


def ensemble_trainer(recipe: Recipe) -> EnsembleTrainer:
    """A function that trains as many networks as it is given generators, all in one pass.

    Small networks keep a machine waiting; together they keep it busy. Network i comes out as
    `trainer(recipe)(split, generators[i])` gives it, to rounding: it has its own initial weights
    and its own order of the examples. One split serves all, or there is one for each, of one size.

    Raises:
        InputError: (when called) If networks of this recipe cannot be trained together: its
            optimizer mixes weights, its layers draw random numbers, or its splits differ in size.
        Diverged: (when called) At the first loss of any of them that is not finite.
    """

    def train(
        splits: Split | Sequence[Split], generators: Sequence[torch.Generator]
    ) -> list[nn.Module]:
        given = [splits] * len(generators) if isinstance(splits, Split) else list(splits)
        _check_alike(given, generators)
        models = []
        for generator in generators:
            with _seeded(generator):
                models.append(recipe.build().train())
        if not models:
            return []
        _check_together(recipe, models[0])
        with torch.enable_grad():
            weights, buffers = stack_module_state(models)
            optimizer, schedule = _optimizer(recipe, weights.values(), len(given[0]))
            loss, updates = vmap(_loss(recipe, models[0])), count()
            for _ in range(recipe.epochs):
                orders = [torch.randperm(len(given[0]), generator=g) for g in generators]
                for rows in torch.stack(orders).split(recipe.batch_size, dim=1):
                    optimizer.zero_grad()
                    losses = loss(weights, buffers, *_stacked(given, rows, models[0]))
                    _check_finite(losses, next(updates))
                    losses.sum().backward()
                    optimizer.step()
                    if schedule is not None:
                        schedule.step()
        for place, model in enumerate(models):
            state = {name: stack[place].detach() for name, stack in (weights | buffers).items()}
            model.load_state_dict(state, strict=False)
        return [model.eval() for model in models]

    return train


def _check_finite(losses: Float[Tensor, "..."], before: int) -> None:
    """Stop a training that has failed, rather than let it spoil every number that follows.

    Raises:
        Diverged: If a loss is not finite; `before` losses were.
    """
    if not bool(losses.isfinite().all()):
        worst = losses[~losses.isfinite()].flatten()[0].item()
        raise Diverged(
            f"training diverged: expected a finite loss, got {worst} at step {before + 1}: lower "
            "the learning rate"
        )


@contextmanager
def _seeded(generator: torch.Generator) -> Iterator[None]:
    """In this block torch's global random state comes from the generator; then it is put back."""
    seed = int(torch.randint(2**62, (), generator=generator))
    devices = range(torch.cuda.device_count())
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)
        if devices:
            torch.cuda.manual_seed_all(seed)
        yield


def _optimizer(
    recipe: Recipe, weights: Iterable[Tensor], examples: int
) -> tuple[Optimizer, torch.optim.lr_scheduler.LRScheduler | None]:
    optimizer = recipe.optimizer(weights)
    updates = recipe.epochs * ceil(examples / recipe.batch_size)
    return optimizer, recipe.schedule(optimizer, updates) if recipe.schedule else None


def _loss(recipe: Recipe, model: nn.Module) -> Callable[..., Tensor]:
    """The loss of one network of the ensemble on its own batch."""

    def loss(
        weights: dict[str, Tensor], buffers: dict[str, Tensor], inputs: Tensor, targets: Tensor
    ) -> Tensor:
        return recipe.loss(functional_call(model, (weights, buffers), (inputs,)), targets)

    return loss


def _stacked(
    splits: Sequence[Split], rows: Int[Tensor, "m b"], model: nn.Module
) -> tuple[Tensor, Tensor]:
    """The batch of each network, [m b ...], on the device of the models."""
    device = device_of(model)
    if all(split is splits[0] for split in splits):  # one read for all
        batch = splits[0].take(rows.flatten())
        both = (batch.inputs, batch.targets)
        parts = [part.reshape(*rows.shape, *part.shape[1:]) for part in both]
    else:
        batches = [split.take(mine) for split, mine in zip(splits, rows, strict=True)]
        parts = [
            torch.stack([batch.inputs for batch in batches]),
            torch.stack([batch.targets for batch in batches]),
        ]
    return parts[0].to(device), parts[1].to(device)


def _check_alike(splits: Sequence[Split], generators: Sequence[torch.Generator]) -> None:
    """Refuse splits that cannot be stacked.

    Raises:
        InputError: If there are not as many as generators, or their sizes differ.
    """
    sizes = {len(split) for split in splits}
    if len(splits) != len(generators) or len(sizes) > 1:
        raise InputError(
            f"expected a split of one size for each of {len(generators)} networks, got "
            f"{len(splits)} of {', '.join(map(str, sorted(sizes)))} examples: train them one by one"
        )


def _check_together(recipe: Recipe, model: nn.Module) -> None:
    """Refuse what would not come out as one by one.

    Raises:
        InputError: If the optimizer mixes weights, or a layer draws random numbers.
    """
    optimizer = recipe.optimizer(model.parameters())
    draws = [name for name, module in model.named_modules() if isinstance(module, DRAWS)]
    if not isinstance(optimizer, ELEMENTWISE):
        raise InputError(
            f"expected an optimizer that updates each number by itself, got "
            f"{type(optimizer).__name__}: train the networks one by one"
        )
    if draws:
        raise InputError(
            f"expected layers that draw no random numbers, got {draws[0]!r}, which does: train "
            "the networks one by one"
        )


def _on(batch: Split, device: torch.device) -> Split:
    """The batch in memory, on the device of the model."""
    targets = None if batch.known_targets is None else batch.known_targets.to(device)
    return Split(batch.inputs.to(device), targets, name=batch.name, memory=batch.memory)


class HistoryRecorder:
    """Watches a classifier while it trains: `trainer(recipe, observe=recorder)`.

    Args:
        split: The training examples, whose correctness is recorded after every epoch.
        batch_size: Examples in a forward pass.
    """

    def __init__(self, split: Split, batch_size: int = 512) -> None:
        self.split, self.batch_size = split, batch_size
        self.rows: list[Bool[Tensor, " n"]] = []

    def __call__(self, epoch: int, model: nn.Module) -> None:
        """Record one epoch."""
        device = device_of(model)
        with evaluating(model):
            hits = [
                model(batch.inputs.to(device)).argmax(dim=-1).cpu() == batch.targets
                for batch in self.split.batches(self.batch_size)
            ]
        self.rows.append(torch.cat(hits))

    @property
    def history(self) -> History:
        """What was recorded so far."""
        return History(correct=torch.stack(self.rows))
