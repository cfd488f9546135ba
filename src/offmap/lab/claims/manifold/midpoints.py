"""How far midpoints lie from the data: of pixels, of reconstructions, of codes."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from offmap.estimate import Estimate, mean
from offmap.lab.data import Images, digits
from offmap.models.autoencoder import Autoencoder
from offmap.numerics.neighbors import search
from offmap.run import Recipe, Split
from offmap.train import trainer

REAL, REBUILT = "real test images", "reconstructions"
PIXELS, REBUILT_PIXELS = "midpoints of pixels", "midpoints of reconstructions' pixels"
CODES = "midpoints of codes"


def the_images(
    data: Mapping[str, Images] | None, n: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Some train inputs and all test inputs: of the one public set, or of digits without one."""
    images = next(iter(data.values())) if data else digits()
    rows = torch.randperm(len(images.inputs), generator=generator)[:n]
    return images.inputs[rows], images.test_inputs


def distances(
    train: Float[Tensor, "n c h w"],
    test: Float[Tensor, "m c h w"],
    *,
    code: int,
    epochs: int,
    pairs: int,
    generator: torch.Generator,
) -> dict[str, Float[Tensor, " pairs"]]:
    """Distance to the nearest train image, of each kind of picture, from random test pairs.

    Decoded pictures are smoother than real ones, and what is smooth is nearer to everything: the
    fair control of decoded midpoints is the pixel midpoint of reconstructions.

    Raises:
        TypeError: If what was trained has no code.
    """
    shape = tuple(train.shape[1:])
    recipe = Recipe(
        build=lambda: Autoencoder(shape, code),
        optimizer=lambda weights: torch.optim.Adam(weights, lr=3e-3),
        loss=nn.functional.mse_loss,
        epochs=epochs,
        batch_size=64,
    )
    model = trainer(recipe)(Split(train), generator)
    if not isinstance(model, Autoencoder):
        raise TypeError(f"expected an Autoencoder, got {type(model)}")
    ends = test[torch.randint(len(test), (2, pairs), generator=generator)]
    with torch.no_grad():
        codes = torch.stack([model.encoder(end) for end in ends])
        rebuilt = torch.stack([model(end) for end in ends])
        middle = model.head(model.decoder(codes.mean(dim=0))).view(pairs, *shape)
    pictures = {
        REAL: ends[0],
        REBUILT: rebuilt[0],
        PIXELS: ends.mean(dim=0),
        REBUILT_PIXELS: rebuilt.mean(dim=0),
        CODES: middle,
    }
    found = search(torch.cat(list(pictures.values())), train, k=1).distance[:, 0]
    return dict(zip(pictures, found.split(pairs), strict=True))


def bars(found: Mapping[str, Float[Tensor, " pairs"]]) -> dict[str, Estimate]:
    """Mean distance of each kind, with its interval over pairs."""
    return {name: mean(values) for name, values in found.items()}
