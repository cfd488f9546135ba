"""Plain training: one loop, whose *step* is what a remedy changes."""

from collections.abc import Callable
from math import ceil

import torch
from jaxtyping import Bool
from torch import Tensor, nn
from torch.optim import Optimizer

from offmap.passes import device_of, evaluating
from offmap.run import History, Loss, Recipe, Split, Trainer

__all__ = ["History", "HistoryRecorder", "Loss", "Recipe", "Step", "plain_step", "trainer"]

Step = Callable[[nn.Module, Optimizer, Loss, Split], None]
Observer = Callable[[int, nn.Module], None]


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
    """

    def train(split: Split, generator: torch.Generator) -> nn.Module:
        seed = int(torch.randint(2**62, (), generator=generator))
        devices = range(torch.cuda.device_count())
        with torch.random.fork_rng(devices=devices), torch.enable_grad():
            torch.default_generator.manual_seed(seed)
            if devices:
                torch.cuda.manual_seed_all(seed)
            model = recipe.build()
            optimizer = recipe.optimizer(model.parameters())
            updates = recipe.epochs * ceil(len(split) / recipe.batch_size)
            schedule = recipe.schedule(optimizer, updates) if recipe.schedule else None
            device = next((w.device for w in model.parameters()), torch.device("cpu"))
            for epoch in range(recipe.epochs):
                model.train()
                order = torch.randperm(len(split), generator=generator)
                for rows in order.split(recipe.batch_size):
                    step(model, optimizer, recipe.loss, _on(split.take(rows), device))
                    if schedule is not None:
                        schedule.step()
                if observe is not None:
                    observe(epoch + 1, model)
        model.zero_grad(set_to_none=True)
        return model.eval()

    return train


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
