"""Can the network, trained as it was, learn labels that mean nothing?"""

from dataclasses import replace
from math import exp

import torch
from jaxtyping import Float
from torch import Tensor

from offmap.attempt import CannotMeasure
from offmap.estimate import Estimate, exact, proportion
from offmap.estimate import mean as mean_estimate
from offmap.estimate import replicates as over_seeds
from offmap.figures import Curve
from offmap.inputs import ClassPredictions
from offmap.measure import Cost, Paper, measure
from offmap.reading import Reading
from offmap.run import Recipe, Split
from offmap.train import HistoryRecorder, trainer

FITTED = 0.9  # training accuracy from which labels count as fitted


def retrain_on_random_labels(
    recipe: Recipe, train: Split, *, examples: int = 2000, generator: torch.Generator
) -> Float[Tensor, " c"]:
    """Training accuracy after every epoch, on permuted and on true labels.

    Both networks start from the same weights and see the examples in the same order. The
    permutation is drawn once: labels drawn afresh every epoch cannot be fitted by anything.

    Args:
        recipe: How the user trains.
        train: The user's examples.
        examples: At most this many of them, drawn at random, are trained on.
        generator: Source of the sample, the permutation, and both trainings.

    Returns:
        Number of examples, share of the largest class, then accuracy on permuted labels by epoch,
        then accuracy on true labels by epoch: c = 2 + 2 * epochs.

    Raises:
        CannotMeasure: If the recipe trains for no epoch.
        ValueError: If fewer than two examples are asked for.
    """
    if examples < 2:
        raise ValueError(f"expected examples >= 2, got {examples}")
    if recipe.epochs < 1:
        raise CannotMeasure(f"the recipe trains for {recipe.epochs} epochs")
    sample = train.take(torch.randperm(len(train), generator=generator)[:examples].sort().values)
    labels = sample.targets
    shuffled = sample.with_targets(labels[torch.randperm(len(labels), generator=generator)])
    seed = int(torch.randint(2**62, (), generator=generator))
    curves = [
        _accuracy_by_epoch(recipe, split, torch.Generator().manual_seed(seed))
        for split in (shuffled, sample)
    ]
    largest = torch.unique(labels, return_counts=True)[1].max().item() / len(labels)
    return torch.cat([torch.tensor([len(labels), largest], dtype=torch.double), *curves])


def _accuracy_by_epoch(
    recipe: Recipe, split: Split, generator: torch.Generator
) -> Float[Tensor, " epochs"]:
    """Share of the split's own labels that the network gives, in evaluation mode."""
    recorder = HistoryRecorder(split)
    trainer(recipe, observe=recorder)(split, generator)
    return recorder.history.correct.double().mean(dim=1)


@measure(
    asks="How much of a set of random labels does the network learn when trained as it was?",
    unit="training accuracy",
    span=(0.0, 1.0),
    better="neither",
    cost=Cost.RETRAIN,
    read="1: it stores any labels, so a low training error says nothing about having learned a "
    "rule. At the share of the largest class: it stores nothing, and whatever it fits it "
    "must have found in the inputs. 0.6 with ten equal classes: about half of the labels that "
    "it would have missed by guessing are stored.",
    caution="A recipe with heavy augmentation, strong regularization or few epochs may not fit "
    "random labels although the architecture could. With fewer examples than the full training "
    "set (setting `examples`) storing is easier. Examples that occur twice with "
    "different labels cannot both be fitted.",
    next_step="Near 1: judge the network by test data alone, look for mislabeled training "
    "examples, and stop early or regularize if they are many. Near the largest class while true "
    "labels are not fitted either: a wider network or more epochs.",
    paper=Paper("Zhang et al. 2017", "https://arxiv.org/abs/1611.03530"),
    replicate=retrain_on_random_labels,
)
def random_label_fit(
    train_predictions: ClassPredictions, replicates: Float[Tensor, "seeds c"], *, seeds: int = 3
) -> Reading:
    """Accuracy that retraining reaches on its own training examples with their labels permuted.

    Each repetition draws a sample of examples, a permutation, initial weights and an order. The
    interval is Student's t over repetitions, clipped to [0, 1] (which costs no coverage, since
    the truth lies there); where all of them agree it is the exact one of the pooled labels. The
    null is what the best constant answer reaches: the share of the largest class.

    Args:
        train_predictions: What the audited model says of its training split.
        replicates: What `retrain_on_random_labels` gave for each repetition.
        seeds: Repetitions; each trains two networks.

    Raises:
        ValueError: If fewer than two repetitions are asked for.
    """
    if seeds < 2:
        raise ValueError(f"expected seeds >= 2, got {seeds}")
    replicates = replicates.double()
    size, largest = replicates[:, 0], replicates[:, 1]
    random, true = replicates[:, 2:].chunk(2, dim=1)  # [seeds, epochs] each
    parts = {
        "largest class": share(largest, size),
        "accuracy on true labels": share(true[:, -1], size),
        "true minus random labels": over_seeds(true[:, -1] - random[:, -1]),
        "examples trained on": exact(size[0].item()),
        "audited model's training accuracy": mean_estimate(train_predictions.correct.double()),
    }
    if bool((torch.minimum(random[:, -1], true[:, -1]) >= FITTED).all()):
        slower = over_seeds((_epochs_to_fit(random) / _epochs_to_fit(true)).log())
        parts["epochs to fit, random over true labels"] = _exponential(slower)
    return Reading(
        share(random[:, -1], size),
        null=parts["largest class"],
        parts=parts,
        figures=(_curve(random, true, size),),
    )


def share(values: Float[Tensor, " seeds"], size: Float[Tensor, " seeds"]) -> Estimate:
    """Mean share over repetitions of `size` labels each, with its interval inside [0, 1]."""
    if bool((values == values[0]).all()):  # no spread to estimate: fall back on the labels
        pooled = proportion(round((values * size).sum().item()), round(size.sum().item()))
        return replace(pooled, n=len(values))
    estimate = over_seeds(values)
    return replace(estimate, low=max(estimate.low, 0.0), high=min(estimate.high, 1.0))


def _epochs_to_fit(curves: Float[Tensor, "seeds epochs"]) -> Float[Tensor, " seeds"]:
    """The first epoch, counted from 1, after which accuracy is `FITTED`."""
    return (curves >= FITTED).int().argmax(dim=1).double() + 1


def _exponential(log: Estimate) -> Estimate:
    """A positive number from its logarithm."""
    return replace(log, value=exp(log.value), low=exp(log.low), high=exp(log.high))


def _curve(
    random: Float[Tensor, "seeds epochs"],
    true: Float[Tensor, "seeds epochs"],
    size: Float[Tensor, " seeds"],
) -> Curve:
    """Training accuracy by epoch, with the interval over repetitions."""
    lines = {
        name: [share(column, size) for column in curves.T]
        for name, curves in (("random labels", random), ("true labels", true))
    }

    def pick(field: str) -> dict[str, Tensor]:
        return {
            name: torch.tensor([getattr(e, field) for e in line], dtype=torch.double)
            for name, line in lines.items()
        }

    epochs = torch.arange(1, random.shape[1] + 1, dtype=torch.double)
    return Curve(
        "How fast labels are learned", "epoch", "training accuracy",
        epochs, pick("value"), low=pick("low"), high=pick("high"),
    )  # fmt: skip
