"""Learning brings test pictures no nearer to the hull of the training pictures."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from offmap.figures import Curve
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.interpolation.pictures import components, learned, sets
from offmap.lab.data import Images
from offmap.numerics.hull import inside_probability, membership

SIZES = {"digits": (1400, 397), "mnist": (20_000, 500)}


@claim(
    says="Learned features interpolate no more than pixels: in as many principal components of the "
    "last hidden layer, the share of test pictures inside the hull is at most 0.05 larger.",
    effect="Share inside among the features of a trained network minus that among pixels; the "
    "largest over numbers of components and sets of pictures",
    below=0.05,
    scales={
        "smoke": {"hidden": (64, 32), "epochs": 8, "dimensions": (8,), "examples": 80},
        "desk": {"hidden": (256, 128), "epochs": 8, "dimensions": (4, 8, 10), "examples": 300},
        "full": {"hidden": (256, 128), "epochs": 20, "dimensions": (4, 8, 10, 12), "examples": 397},
    },
    seconds={"smoke": 0.4, "desk": 20.0, "full": 40.0},
    paper=Paper("Balestriero, Pesenti & LeCun 2021", "https://arxiv.org/abs/2110.09485"),
    data={"desk": ("mnist",), "full": ("mnist",)},
)
def hull_latent(
    *,
    hidden: tuple[int, ...],
    epochs: int,
    dimensions: tuple[int, ...],
    examples: int,
    data: Mapping[str, Images],
    generator: torch.Generator,
) -> Trial:
    """A network learns the pictures; the same components are taken of pixels and of features.

    Components are scaled to unit variance, which changes no answer. The control is the network
    before training; the law for as many Gaussian points is among the figures.
    """
    gains, parts, shares = [], {}, {}
    for name, pictures in sets(data, SIZES, generator=generator).items():
        fresh, trained = (
            learned(pictures, hidden=hidden, epochs=e, generator=generator) for e in (0, epochs)
        )
        test = pictures.test[:examples]
        for where, model in (("pixels", None), ("untrained", fresh), ("trained", trained)):
            points, queries = components(
                features(model, pictures.train), features(model, test),
                dimensions[-1], generator=generator,
            )  # fmt: skip
            shares[f"{name}, {where}"] = [
                membership(points[:, :d], queries[:, :d]).inside.double().mean().item()
                for d in dimensions
            ]
        laws = [inside_probability(len(pictures.train), d) for d in dimensions]
        gains += [
            after - before
            for before, after in zip(
                shares[f"{name}, pixels"], shares[f"{name}, trained"], strict=True
            )
        ]
        parts |= {f"{where}, {dimensions[-1]} components": s[-1] for where, s in shares.items()}
        shares[f"{name}, Gaussian law"] = laws
    return Trial(max(gains), parts, (_curve(dimensions, shares),))


def features(model: nn.Module | None, inputs: Float[Tensor, "n d"]) -> Float[Tensor, "n k"]:
    """What the last layer of the network reads; the inputs where there is no network."""
    if model is None:
        return inputs
    with torch.no_grad():
        return model.get_submodule("body")(inputs)


def _curve(dimensions: tuple[int, ...], shares: Mapping[str, list[float]]) -> Curve:
    return Curve(
        "Test pictures inside the hull of the training pictures",
        "principal components",
        "share inside",
        torch.tensor(dimensions, dtype=torch.double),
        {where: torch.tensor(some, dtype=torch.double) for where, some in shares.items()},
    )
