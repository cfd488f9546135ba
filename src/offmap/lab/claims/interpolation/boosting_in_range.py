"""Do boosted trees stay in the range of their targets, as trees do?"""

import torch
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor

from offmap.lab.claim import Paper, Trial, claim

NOISE, CORNER = 0.05, 0.3  # of the targets; where at least one of two inputs lies below


@claim(
    says="Tree ensembles do not extrapolate: boosted trees too predict within the range of their "
    "training targets.",
    effect="How far the farthest prediction lies outside the range of the training targets, over "
    "the length of that range",
    below=1e-9,
    scales={
        "smoke": {"examples": 100, "trees": 50, "depth": 1},
        "desk": {"examples": 1000, "trees": 300, "depth": 2},
        "full": {"examples": 5000, "trees": 1000, "depth": 3},
    },
    seconds={"smoke": 0.1, "desk": 0.3, "full": 5.0},
    paper=Paper("Friedman 2001", "https://doi.org/10.1214/aos/1013203451"),
    corrected="output_hull",
)
def boosting_in_range(
    *, examples: int, trees: int, depth: int, generator: torch.Generator
) -> Trial:
    """The target is the sum of two inputs that never were large together; then they are.

    A boosted model is a sum of trees, each an average of what the others left over: nothing holds
    the sum in the range. The forest, on the same data, is an average of trees (`output_hull`).
    """
    x = torch.rand(3 * examples, 2, generator=generator, dtype=torch.double)
    x = x[x.amin(dim=1) < CORNER][:examples]
    y = x.sum(dim=1) + NOISE * torch.randn(len(x), generator=generator, dtype=torch.double)
    side = torch.linspace(0, 1, 21, dtype=torch.double)
    grid = torch.cartesian_prod(side, side)
    seed = int(torch.randint(2**31, (), generator=generator))
    models = {
        "boosting": GradientBoostingRegressor(
            n_estimators=trees, max_depth=depth, random_state=seed
        ),
        "forest": RandomForestRegressor(20, random_state=seed),
    }
    beyond = {}
    for name, model in models.items():
        answer = torch.from_numpy(model.fit(x.numpy(), y.numpy()).predict(grid.numpy()))
        over = torch.maximum(answer - y.max(), y.min() - answer).max().clamp_min(0)
        beyond[name] = (over / (y.max() - y.min())).item()
    return Trial(beyond["boosting"], {f"{name}: beyond the range": b for name, b in beyond.items()})
