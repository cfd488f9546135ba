"""How strongly a network reacts to directions that its data never took: as it was drawn."""

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from offmap.figures import Scatter
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.capacity.least_squares import deviation
from offmap.lab.claims.off_map.subspace import World, train, world


@claim(
    says="A network trained by SGD on points of a k-dimensional subspace of R^d has a gradient off "
    "the subspace whose mean squared length is (d - k) sigma^2 |v|^2: sigma is the deviation of "
    "the first layer's initial weights, v the gradient by that layer's outputs.",
    effect="Deviation of the mean ratio of squared length and law from one, over independent "
    "networks, in standard errors.",
    below=4.0,
    scales={
        "smoke": {"networks": 8, "subspace": 5, "dimension": 40, "width": 32, "n": 128,
                  "updates": 60},
        "desk": {"networks": 24, "subspace": 10, "dimension": 100, "width": 128, "n": 1000,
                 "updates": 600},
        "full": {"networks": 64, "subspace": 10, "dimension": 100, "width": 256, "n": 5000,
                 "updates": 2000},
    },
    seconds={"smoke": 0.7, "desk": 20.0, "full": 400.0},
    paper=Paper("Melamed, Yehudai & Vardi 2023", "https://arxiv.org/abs/2303.00783"),
)  # fmt: skip
def off_subspace_gradient(
    *, networks: int, subspace: int, dimension: int, width: int, n: int, updates: int,
    generator: torch.Generator,
) -> Trial:  # fmt: skip
    r"""Networks of two hidden layers, each in a world of its own, trained by SGD with momentum.

    No gradient ever moves the part W_o of the first weights that is orthogonal to the data, and no
    output on the data depends on it: after training it is still independent of v, so

    .. math:: E\,|W_o^T v|^2 = (d - k)\,\sigma^2\,|v|^2

    at every point of the subspace. Control: Adam scales each coordinate by itself, so that its
    steps leave the span of the data; there the law fails.
    """
    worlds = [world(subspace, dimension, generator) for _ in range(networks)]
    ratios, shares = {}, {}
    for optimizer in ("SGD", "Adam"):
        models = train(worlds, [n] * networks, width, updates, optimizer, generator)
        found = [look(model, place, generator) for model, place in zip(models, worlds, strict=True)]
        ratios[optimizer], shares[optimizer] = torch.tensor(found, dtype=torch.double).mT
    one = torch.ones(1, dtype=torch.double)
    return Trial(
        effect=deviation(ratios["SGD"][None], one).abs().item(),
        parts={f"squared length / law, {name}": r.mean().item() for name, r in ratios.items()}
        | {f"share off the subspace, {name}": s.mean().item() for name, s in shares.items()}
        | {"share of a random direction": 1 - subspace / dimension},
        figures=(
            Scatter(
                "Gradient off the subspace", "share of its squared length", "ratio to the law",
                torch.cat(list(shares.values())), torch.cat(list(ratios.values())),
                tuple(name for name in ratios for _ in range(networks)),
            ),
        ),
    )  # fmt: skip


def look(model: nn.Module, place: World, generator: torch.Generator) -> tuple[float, float]:
    """Means over points: squared gradient off the subspace over its law, and over the whole."""
    first = next(module for module in model.modules() if isinstance(module, nn.Linear))
    points = place.draw(200, generator).inputs
    by_input, by_layer = gradients(model, first, points)
    off = place.off(by_input).square().sum(dim=1)
    free = len(place.basis.mT) - len(place.basis)
    law = free / (3 * first.in_features) * by_layer.square().sum(dim=1)
    return (off / law).mean().item(), (off / by_input.square().sum(dim=1)).mean().item()


def gradients(
    model: nn.Module, first: nn.Linear, points: Float32[Tensor, "n d"]
) -> tuple[Float32[Tensor, "n d"], Float32[Tensor, "n width"]]:
    """Of the difference of the two scores: by the inputs, and by the outputs of the first layer."""
    kept: list[Tensor] = []

    def keep(_: nn.Module, __: object, output: Tensor) -> None:
        kept.append(output)

    hook = first.register_forward_hook(keep)
    inputs = points.clone().requires_grad_()
    answers = model(inputs).diff(dim=1).sum()
    hook.remove()
    by_input, by_layer = torch.autograd.grad(answers, [inputs, kept[0]])
    return by_input, by_layer
