"""Networks trained on digits with flipped labels, beside a lookup of the nearest neighbor."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from offmap.lab.claims.manifold.nearest_label_noise import flipped
from offmap.lab.data import digits
from offmap.models.mlp import MLP
from offmap.numerics.neighbors import search
from offmap.run import Recipe, Split
from offmap.seeds import derive
from offmap.train import ensemble_trainer


class NoisyDigits(NamedTuple):
    """Some training digits, their labels as given, and as they are."""

    inputs: Float[Tensor, "n ..."]
    given: Int[Tensor, " n"]
    clean: Int[Tensor, " n"]


def noisy_digits(n: int, noise: float, generator: torch.Generator) -> NoisyDigits:
    """So many training digits, of whose labels a share is replaced by any other."""
    rows = torch.randperm(len(digits().inputs), generator=generator)[:n]
    clean = digits().targets[rows]
    return NoisyDigits(digits().inputs[rows], flipped(clean, 10, noise, generator), clean)


def lookup_error(train: NoisyDigits) -> float:
    """Of the nearest neighbor, on clean test labels."""
    near = search(digits().test_inputs, train.inputs, k=1).index[:, 0]
    return (train.given[near] != digits().test_targets).double().mean().item()


def networks(
    train: NoisyDigits, *, width: int, updates: int, repeats: int, generator: torch.Generator
) -> list[nn.Module]:
    """Of one hidden layer, trained together with full batches of Adam on the labels as given."""
    recipe = Recipe(
        build=lambda: MLP(64, (width,)),
        optimizer=lambda weights: torch.optim.Adam(weights, lr=1e-2),
        loss=nn.functional.cross_entropy,
        epochs=updates,
        batch_size=len(train.inputs),
    )
    root = int(torch.randint(2**31, (), generator=generator))
    seeds = [derive(root, "network", i) for i in range(repeats)]
    return ensemble_trainer(recipe)(Split(train.inputs, train.given), seeds)


@torch.no_grad()
def errors(
    models: list[nn.Module], inputs: Float[Tensor, "n ..."], targets: Int[Tensor, " n"]
) -> Float[Tensor, " models"]:
    """Share that each network gets wrong."""
    wrong = [(model(inputs).argmax(dim=1) != targets).double().mean() for model in models]
    return torch.stack(wrong)
