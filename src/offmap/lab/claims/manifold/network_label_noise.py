"""A network that learns flipped labels by heart pays less for them than a lookup does."""

from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from offmap.estimate import replicates
from offmap.figures import Bars
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.manifold.nearest_label_noise import flipped
from offmap.lab.data import digits
from offmap.models.mlp import MLP
from offmap.numerics.neighbors import search
from offmap.run import Recipe, Split
from offmap.seeds import derive
from offmap.train import ensemble_trainer


@claim(
    says="A network that fits every label of the digits, a fifth of them flipped, errs on clean "
    "test labels less often than the nearest neighbor, which pays the whole fifth.",
    effect="clean test error of networks with no training error over that of the nearest neighbor",
    below=1.0,
    scales={
        "smoke": {"n": 300, "noise": 0.2, "width": 256, "updates": 100, "repeats": 2},
        "desk": {"n": 1200, "noise": 0.2, "width": 512, "updates": 800, "repeats": 2},
        "full": {"n": 1200, "noise": 0.2, "width": 2048, "updates": 3000, "repeats": 5},
    },
    seconds={"smoke": 0.4, "desk": 25.0, "full": 400.0},
    paper=Paper("Zhang et al. 2017", "https://arxiv.org/abs/1611.03530"),
)
def network_label_noise(
    *, n: int, noise: float, width: int, updates: int, repeats: int, generator: torch.Generator
) -> Trial:
    """Networks of one hidden layer on n digits, full batches of Adam, until labels are fitted.

    The effect is taken only from a trial in which all networks fit all labels: otherwise the
    trial fails. Parts: the same networks stopped after a tenth of the updates, and what both pay
    without flips.
    """
    sets = digits()
    rows = torch.randperm(len(sets.inputs), generator=generator)[:n]
    inputs, targets = sets.inputs[rows], sets.targets[rows]
    given = flipped(targets, 10, noise, generator)
    near = search(sets.test_inputs, inputs, k=1).index[:, 0]
    learn = partial(_networks, inputs, width=width, repeats=repeats, generator=generator)
    noisy, early, clean = (
        learn(given, updates=updates),
        learn(given, updates=updates // 10),
        learn(targets, updates=updates),
    )
    unfitted = _errors(noisy, inputs, given)
    if bool(unfitted.any()):
        raise ValueError(f"expected every label to be fitted, got the errors {unfitted.tolist()}")
    test = (sets.test_inputs, sets.test_targets)
    errors = {
        "network, all labels fitted": _errors(noisy, *test),
        "network, stopped early": _errors(early, *test),
        "network, no flips": _errors(clean, *test),
    }
    lookup = (given[near] != sets.test_targets).double().mean().item()
    parts = {name: values.mean().item() for name, values in errors.items()} | {
        "nearest neighbor": lookup,
        "nearest neighbor, no flips": (targets[near] != test[1]).double().mean().item(),
        "training error against the clean labels": _errors(noisy, inputs, targets).mean().item(),
    }
    bars = Bars("Clean test error", "error", {k: replicates(v) for k, v in errors.items()})
    return Trial(parts["network, all labels fitted"] / lookup, parts, (bars,))


def _networks(
    inputs: Float[Tensor, "n ..."],
    targets: Int[Tensor, " n"],
    *,
    width: int,
    updates: int,
    repeats: int,
    generator: torch.Generator,
) -> list[nn.Module]:
    recipe = Recipe(
        build=lambda: MLP(64, (width,)),
        optimizer=lambda weights: torch.optim.Adam(weights, lr=1e-2),
        loss=nn.functional.cross_entropy,
        epochs=updates,
        batch_size=len(inputs),
    )
    root = int(torch.randint(2**31, (), generator=generator))
    seeds = [derive(root, "network", i) for i in range(repeats)]
    return ensemble_trainer(recipe)(Split(inputs, targets), seeds)


@torch.no_grad()
def _errors(
    models: list[nn.Module], inputs: Float[Tensor, "n ..."], targets: Int[Tensor, " n"]
) -> Float[Tensor, " models"]:
    wrong = [(model(inputs).argmax(dim=1) != targets).double().mean() for model in models]
    return torch.stack(wrong)
