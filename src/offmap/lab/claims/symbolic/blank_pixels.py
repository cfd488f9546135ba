"""Images with pixels that are blank in all of training, and networks that learn from them."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cross_entropy, pad

from offmap.lab.claims.symbolic.networks import sources
from offmap.lab.data import Images, digits
from offmap.models.mlp import MLP
from offmap.numerics.span import Span, span_of
from offmap.run import Recipe, Split
from offmap.train import ensemble_trainer

FRAME = 2  # blank pixels that are put around scikit-learn's digits


class Given(NamedTuple):
    """Networks in float64, the span of what they were trained on, and images [n d]."""

    networks: list[MLP]
    span: Span
    train: Float[Tensor, "n d"]
    test: Float[Tensor, "m d"]


def given(
    data: Mapping[str, Images], epochs: int, networks: int, *, generator: torch.Generator
) -> Given:
    """Networks of one hidden layer, trained on MNIST if it is there, or on framed digits."""
    images = data.get("mnist") or _framed(digits())
    train, test = images.inputs.flatten(1), images.test_inputs.flatten(1)
    recipe = Recipe(
        lambda: MLP(train.shape[1], (128,), 10),
        lambda weights: torch.optim.Adam(weights, lr=2e-3),
        cross_entropy, epochs, 128,
    )  # fmt: skip
    found = ensemble_trainer(recipe)(Split(train, images.targets), sources(networks, generator))
    order = torch.randperm(len(train), generator=generator)
    nets = [net.double() for net in found if isinstance(net, MLP)]
    return Given(nets, span_of(train[order].split(4096)), train.double(), test.double())


def noisy(
    inputs: Float[Tensor, "n d"], span: Span, *, generator: torch.Generator
) -> Float[Tensor, "n d"]:
    """The images with uniform noise from 0 to 1 where training images are all blank."""
    noise = torch.rand(len(inputs), len(span.flat), generator=generator, dtype=torch.double)
    return inputs.index_copy(1, span.flat, noise)


def _framed(images: Images) -> Images:
    """With blank pixels all around, as those of MNIST have them."""
    return images._replace(
        inputs=pad(images.inputs, (FRAME,) * 4), test_inputs=pad(images.test_inputs, (FRAME,) * 4)
    )
