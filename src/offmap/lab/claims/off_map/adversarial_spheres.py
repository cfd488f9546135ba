"""A trained network's errors on a sphere are about as near to everything as geometry allows."""

from math import sqrt

import torch
from jaxtyping import Float
from torch import Tensor, nn

from offmap.estimate import proportion
from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.off_map.sphere_caps import gilmer_bound, mean_distance_to_cap
from offmap.lab.worlds import sphere
from offmap.run import Recipe, Split
from offmap.train import trainer

OUTER = 1.3


@claim(
    says="A network that tells two concentric spheres apart but for a share mu of the inner one "
    "errs, from a random point, at 0.4 to 1.05 times the distance to a cap of measure mu.",
    effect="mean distance at which ascent on the sphere meets an error, over that to the cap",
    above=0.4,
    below=1.05,
    scales={
        "smoke": {"n": 50, "width": 64, "updates": 100, "points": 20000, "starts": 60},
        "desk": {"n": 50, "width": 200, "updates": 1500, "points": 400000, "starts": 300},
        "full": {"n": 50, "width": 300, "updates": 4000, "points": 4000000, "starts": 1000},
    },
    seconds={"smoke": 0.2, "desk": 6.0, "full": 100.0},
    paper=Paper("Gilmer et al. 2018", "https://arxiv.org/abs/1801.02774"),
)
def adversarial_spheres(
    *, n: int, width: int, updates: int, points: int, starts: int, generator: torch.Generator
) -> Trial:
    """Two hidden layers with batch normalization, each point seen once; radii 1 and 1.3.

    From random points of the inner sphere the answer is climbed along the sphere in small steps
    until it is wrong; the step across is bisected. No set of the measure of the errors is farther,
    on average, than a cap: a ratio above 1 would say that the ascent is too weak to be believed.

    Raises:
        ValueError: If no random point shows an error: then there is no share to compare with.
    """
    model = _trained(n, width, updates, generator)
    inner = sphere(points, n, generator=generator).float()
    outer = OUTER * sphere(points // 4, n, generator=generator).float()
    wrong = sum(int((_answer(model, x) > 0).sum()) for x in inner.split(50000))
    if not wrong:
        raise ValueError(f"expected errors among {points} points, got none: train less")
    share = proportion(wrong, points)
    start = inner[:starts]
    distance, found = nearest_errors(model, start)
    law = mean_distance_to_cap(share.value, n)
    reached = distance[found]
    parts = {
        "errors on the inner sphere": share.value,
        "errors on the outer sphere": (_answer(model, outer) <= 0).double().mean().item(),
        "starts from which an error was found": found.double().mean().item(),
        "mean distance": reached.mean().item(),
        "mean distance to a cap of that measure": law,
        "to a cap of its upper 95 % bound": mean_distance_to_cap(min(share.high, 0.5), n),
        "-Phi^-1(mu) / sqrt(n)": gilmer_bound(share.value, n),
        "distance of two random points": sqrt(2),
    }
    levels = torch.linspace(0, 1, 40, dtype=torch.double)
    figure = Curve(
        "How far the nearest error found is", "share of starts", "distance", levels,
        {"found": reached.quantile(levels), "cap, mean": torch.full_like(levels, law)},
    )  # fmt: skip
    return Trial(parts["mean distance"] / law, parts, (figure,))


def _trained(n: int, width: int, updates: int, generator: torch.Generator) -> nn.Module:
    def build() -> nn.Module:
        return nn.Sequential(
            nn.Linear(n, width), nn.BatchNorm1d(width), nn.ReLU(),
            nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, 1),
        )  # fmt: skip

    targets = torch.randint(2, (100 * updates, 1), generator=generator).float()
    radii = 1 + (OUTER - 1) * targets
    split = Split(radii * sphere(len(targets), n, generator=generator).float(), targets)
    recipe = Recipe(
        build, lambda weights: torch.optim.Adam(weights, lr=3e-3),
        nn.functional.binary_cross_entropy_with_logits, epochs=1, batch_size=100,
    )  # fmt: skip
    return trainer(recipe)(split, generator).requires_grad_(False)


def nearest_errors(
    model: nn.Module, start: Float[Tensor, "m n"], *, step: float = 0.02, steps: int = 80
) -> tuple[Float[Tensor, " m"], Tensor]:
    """Distance from points of the unit sphere to where ascent makes the answer positive.

    And from which starts it does, [m]; elsewhere the distance is how far it went.
    """
    x, last = start.clone(), start.clone()
    for _ in range(steps):
        active = _answer(model, x) <= 0
        if not bool(active.any()):
            break
        with torch.enable_grad():
            here = x.detach().requires_grad_(True)
            (slope,) = torch.autograd.grad(model(here).sum(), here)
        slope = slope - (slope * x).sum(dim=1, keepdim=True) * x
        ahead = nn.functional.normalize(x + step * nn.functional.normalize(slope, dim=1), dim=1)
        last = torch.where(active[:, None], x, last)
        x = torch.where(active[:, None], ahead, x)
    found = _answer(model, x) > 0
    for _ in range(12):  # the answer is right at `last`, wrong at x
        middle = nn.functional.normalize(last + x, dim=1)
        wrong = (_answer(model, middle) > 0)[:, None]
        last, x = torch.where(wrong, last, middle), torch.where(wrong, middle, x)
    return (x - start).double().norm(dim=1), found


@torch.no_grad()
def _answer(model: nn.Module, inputs: Float[Tensor, "m n"]) -> Float[Tensor, " m"]:
    """Above 0: the outer sphere."""
    return model(inputs)[:, 0]
