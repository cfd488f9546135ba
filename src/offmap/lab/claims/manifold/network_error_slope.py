"""A network's error falls with n faster than a lookup's, and not faster than smoothness allows."""

import torch
from torch import nn

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.manifold.torus_regression import Regression, TorusRegression, slope
from offmap.models.mlp import MLP
from offmap.numerics.neighbors import search
from offmap.run import Recipe, Split
from offmap.seeds import derive
from offmap.train import ensemble_trainer


@claim(
    says="On data of two dimensions in a space of 20, a ReLU network's root mean square error "
    "falls as n to a power between -1/d, a lookup's, and -4/d.",
    effect="-d x slope of log RMSE over log n",
    above=1.0,
    below=4.0,
    scales={
        "smoke": {"sizes": (32, 256), "width": 64, "updates": 150, "repeats": 1},
        "desk": {"sizes": (32, 64, 128, 256, 512), "width": 128, "updates": 1000, "repeats": 1},
        "full": {
            "sizes": (128, 256, 512, 1024, 2048, 4096, 8192), "width": 256, "updates": 20000,
            "repeats": 3,
        },
    },
    seconds={"smoke": 0.4, "desk": 6.0, "full": 2000.0},
    paper=Paper("Hestness et al. 2017", "https://arxiv.org/abs/1712.00409"),
)  # fmt: skip
def network_error_slope(
    *, sizes: tuple[int, ...], width: int, updates: int, repeats: int, generator: torch.Generator
) -> Trial:
    """Sums of sin(2 angle) on a flat torus, without noise; two hidden layers, Adam, cosine decay.

    All sizes get as many updates, of batches of at most 256; the error is over fresh points. The
    control is the nearest neighbor on the same examples.
    """
    d = 2
    world = TorusRegression(d, 20, frequency=2, generator=generator)
    test = world.draw(2000, generator=generator)
    networks, lookups = [], []
    for n in sizes:
        train = world.draw(n, generator=generator)
        near = search(test.points, train.points, k=1).index[:, 0]
        lookups.append((train.targets[near] - test.targets).square().mean().sqrt().item())
        networks.append(_network_error(train, test, width, updates, repeats, generator))
    found = {"network": networks, "nearest neighbor": lookups}
    parts = {f"-d x slope, {name}": -d * slope(sizes, errors) for name, errors in found.items()}
    parts |= {f"RMSE, n = {n}": error for n, error in zip(sizes, networks, strict=True)}
    figure = Curve(
        "Error over n", "n", "RMSE", torch.tensor(sizes).double(),
        {name: torch.tensor(errors).double() for name, errors in found.items()},
        log_x=True, log_y=True,
    )  # fmt: skip
    return Trial(parts["-d x slope, network"], parts, (figure,))


def _network_error(
    train: Regression,
    test: Regression,
    width: int,
    updates: int,
    repeats: int,
    generator: torch.Generator,
) -> float:
    """Root mean square error, over points and networks."""
    n = len(train.targets)
    batch = min(n, 256)
    recipe = Recipe(
        build=lambda: MLP(train.points.shape[1], (width, width), 1),
        optimizer=lambda weights: torch.optim.Adam(weights, lr=3e-3),
        loss=nn.functional.mse_loss,
        epochs=updates * batch // n,
        batch_size=batch,
        schedule=lambda optimizer, steps: torch.optim.lr_scheduler.CosineAnnealingLR(
            optimizer, steps
        ),
    )
    root = int(torch.randint(2**31, (), generator=generator))
    split = Split(train.points.float(), train.targets.float()[:, None])
    models = ensemble_trainer(recipe)(split, [derive(root, "network", i) for i in range(repeats)])
    with torch.no_grad():
        answers = torch.stack([model(test.points.float())[:, 0] for model in models]).double()
    return (answers - test.targets).square().mean().sqrt().item()
