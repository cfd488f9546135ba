"""Families of strangers made of a user's own data: inputs that no network was shown.

A *far* family keeps at most the range, the moments or the pixels of the data: noise, constants,
permutations. A *near* one is made of whole examples: corrupted, turned, mixed, put together anew.
What is near is hard, and what a corruption leaves recognizable is not really strange: the mild
ones are there to be looked at, not to be refused.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from torch.nn import functional

from offmap.attempt import InputError
from offmap.numerics.noise import Box, box_of, shuffled
from offmap.passes import BATCH
from offmap.run import Domain, Split
from offmap.seeds import derive
from offmap.table import Table

Distance = Literal["near", "far", "unknown"]
Group = Literal[
    "noise", "arrangement", "corruption", "composition", "left out", "class", "outliers"
]
MOMENT_ROWS = 2000  # rows of the data from which range and moments are read
SIDE = 4  # cells along a side: of blocks and of patches

Make = Callable[["Batch"], Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What strangers are made of, row by row.

    Args:
        inputs: Examples [b, ...], as floating-point numbers.
        others: For each of them one of another class (another example, where there are no
            classes).
        box: Bounds and moments of all data.
        fixed: A generator in the same state for every batch: what all strangers share.
        generator: What is drawn anew for each batch.
    """

    inputs: Float[Tensor, "b ..."]
    others: Float[Tensor, "b ..."]
    box: Box
    fixed: torch.Generator
    generator: torch.Generator


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """A way of making strangers, one of each example.

    Args:
        name: What reports call it.
        says: What it does, in a few words.
        kind: Near or far.
        group: Families of one group are alike: in a choice, groups weigh the same.
        make: From examples [b, ...] to as many strangers.
        images: Whether it needs images.
        strange: Whether a guard ought to refuse it: a choice of scores may rest on it.
    """

    name: str
    says: str
    kind: Distance
    group: Group
    make: Make
    images: bool = False
    strange: bool = True

    def __call__(self, split: Split, domain: Domain, generator: torch.Generator) -> Split:
        """As many strangers as `split` has rows, made when they are read. The targets are gone.

        Args:
            split: Examples to make them of: fresh ones, for what a network was trained on it knows.
            domain: The contract that the strangers keep too.
            generator: Of all that is drawn.

        Raises:
            InputError: If the inputs are tokens, or no images where these are needed.
        """
        if domain.kind == "tokens" or (self.images and not _pictures(domain)):
            raise InputError(
                f"{split.name}: expected {'images' if self.images else 'images or vectors'} "
                f"to make {self.name} strangers of, got {domain.kind} of shape {split.shape}"
            )
        if len(split) < 2:
            raise InputError(f"{split.name}: expected at least 2 examples, got {len(split)}")
        return Split(
            Strangers(split, domain, self.make, generator), name=self.name, memory=split.memory
        )


class Strangers(Table):
    """Strangers in the rows of a split, made a block at a time whenever they are read.

    Args:
        split: The examples.
        domain: The contract of an input.
        make: How a batch of strangers is made.
        generator: Of all that is drawn; two numbers are taken from it.
    """

    def __init__(
        self, split: Split, domain: Domain, make: Make, generator: torch.Generator
    ) -> None:
        self.split, self.domain, self.make = split, domain, make
        self.shape, self.dtype = split.table.shape, split.table.dtype
        self.seed = int(torch.randint(2**62, (), generator=generator))
        self.partner = _of_another_class(split, generator)
        self.box = box(split, domain)

    def __len__(self) -> int:
        return len(self.split)

    def read(self, start: int, stop: int) -> Tensor:
        """See `Table.read`."""
        stop = min(stop, len(self))
        if stop <= start:
            return torch.empty((0, *self.shape), dtype=self.dtype)
        first = start // BATCH
        made = torch.cat([self._block(b) for b in range(first, (stop - 1) // BATCH + 1)])
        return made[start - first * BATCH : stop - first * BATCH]

    def take(self, rows: Tensor) -> Tensor:
        """See `Table.take`."""
        out = torch.empty((len(rows), *self.shape), dtype=self.dtype)
        for block in (rows // BATCH).unique().tolist():
            here = rows // BATCH == block
            out[here] = self._block(block)[rows[here] - block * BATCH]
        return out

    def _block(self, number: int) -> Tensor:
        """Rows `number * BATCH` and on: the same however they are asked for."""
        start, stop = number * BATCH, min((number + 1) * BATCH, len(self))
        batch = Batch(
            _real(self.split.table.read(start, stop)),
            _real(self.split.table.take(self.partner[start:stop])),
            self.box,
            derive(self.seed, "fixed"),
            derive(self.seed, "block", number),
        )
        made = self.make(batch)
        if self.domain.low is not None or self.domain.high is not None:
            made = made.clamp(self.domain.low, self.domain.high)
        return (made if self.dtype.is_floating_point else made.round()).to(self.dtype)


def box(split: Split, domain: Domain) -> Box:
    """Bounds and moments of the data, from its first `MOMENT_ROWS` rows.

    The bounds are the domain's; where that is open, the data's: of all pixels together, of each
    column of a vector. The moments are those of each number.
    """
    rows = _real(split.table.read(0, MOMENT_ROWS))
    together = range(1, rows.ndim) if domain.kind == "image" else ()
    return box_of(rows, domain.low, domain.high, together=together)


def _real(rows: Shaped[Tensor, "b ..."]) -> Float[Tensor, "b ..."]:
    return rows if rows.is_floating_point() else rows.float()


def _pictures(domain: Domain) -> bool:
    """Whether an input is channels by height by width, with something to take apart."""
    return domain.kind == "image" and len(domain.shape) == 3 and min(domain.shape[1:]) >= SIDE


def _of_another_class(split: Split, generator: torch.Generator) -> Int[Tensor, " n"]:
    """For each row another one, drawn at random from the rows of all other classes.

    Where there are no classes, or one alone, from all other rows.
    """
    n, targets = len(split), split.known_targets
    each = torch.arange(n)
    classes = each
    if targets is not None and targets.ndim == 1 and not targets.is_floating_point():
        classes = targets.cpu() if bool((targets != targets[0]).any()) else each
    order = classes.argsort(stable=True)  # each class is a run in it
    _, number, size = torch.unique(classes, return_inverse=True, return_counts=True)
    end, size = size.cumsum(0)[number], size[number]
    ahead = (torch.rand(n, generator=generator, dtype=torch.double) * (n - size)).long()
    return order[(end + ahead) % n]


# ----------------------------------------------------------------------------------------- far


def _uniform(batch: Batch) -> Tensor:
    return batch.box.uniform(len(batch.inputs), batch.generator)


def _gaussian(batch: Batch) -> Tensor:
    return batch.box.gaussian(len(batch.inputs), batch.generator)


def _bernoulli(batch: Batch) -> Tensor:
    return batch.box.ends(len(batch.inputs), batch.generator)


def _constant(batch: Batch) -> Tensor:
    """One number everywhere, between the ends of the range."""
    return batch.box.constant(len(batch.inputs), batch.generator)


def _blocks(batch: Batch) -> Tensor:
    """A coarse grid of random colors."""
    b, c, h, w = batch.inputs.shape
    draw = torch.rand((b, c, SIDE, SIDE), generator=batch.generator)
    grid = functional.interpolate(draw, size=(h, w), mode="nearest")
    low, high = batch.box.low, batch.box.high
    return low + (high - low) * grid


def _permuted(batch: Batch) -> Tensor:
    """The pixels of each image in one random order, the same for all."""
    order = torch.randperm(batch.inputs[0, 0].numel(), generator=batch.fixed)
    return batch.inputs.flatten(2)[..., order].reshape(batch.inputs.shape)


def _shuffled(batch: Batch) -> Tensor:
    """The pixels of each image in an order of its own."""
    return shuffled(batch.inputs, batch.generator)


def _marginals(batch: Batch) -> Tensor:
    """Each number from an example of its own: the marginals stay, what ties them is gone."""
    pool = torch.cat([batch.inputs, batch.others]).flatten(1)
    rows = torch.randint(len(pool), batch.inputs.flatten(1).shape, generator=batch.generator)
    return pool.gather(0, rows).reshape(batch.inputs.shape)


# ---------------------------------------------------------------------------------------- near


def _inverted(batch: Batch) -> Tensor:
    return batch.box.low + batch.box.high - batch.inputs


def _turned(batch: Batch) -> Tensor:
    """A quarter turn to the left; of what is not square, the middle."""
    side = min(batch.inputs.shape[2:])
    turned = batch.inputs.clone()
    top, left = ((size - side) // 2 for size in batch.inputs.shape[2:])
    middle = batch.inputs[..., top : top + side, left : left + side]
    turned[..., top : top + side, left : left + side] = middle.rot90(1, dims=(2, 3))
    return turned


def _mixed(batch: Batch) -> Tensor:
    return (batch.inputs + batch.others) / 2


def _spliced(batch: Batch) -> Tensor:
    """The first half of the rows of pixels, or of the columns of a vector, from each example."""
    dim = 2 if batch.inputs.ndim == 4 else 1
    half = batch.inputs.shape[dim] // 2
    top = batch.inputs.narrow(dim, 0, half)
    return torch.cat([top, batch.others.narrow(dim, half, batch.others.shape[dim] - half)], dim=dim)


def _quadrants(batch: Batch) -> Tensor:
    """Each quadrant a place further round."""
    h, w = (size // 2 for size in batch.inputs.shape[2:])
    made = batch.inputs.clone()  # an odd row or column in the end stays where it is
    for (a, b), (c, d) in zip(
        ((0, 0), (0, w), (h, w), (h, 0)), ((0, w), (h, w), (h, 0), (0, 0)), strict=True
    ):
        made[..., c : c + h, d : d + w] = batch.inputs[..., a : a + h, b : b + w]
    return made


def _patched(batch: Batch) -> Tensor:
    """Every cell of a grid from one of two examples, at random."""
    b, _, h, w = batch.inputs.shape
    coin = torch.rand((b, 1, SIDE, SIDE), generator=batch.generator).round()
    mask = functional.interpolate(coin, size=(h, w), mode="nearest")
    return batch.inputs * mask + batch.others * (1 - mask)


def _noisy(batch: Batch, severity: int) -> Tensor:
    """Noise of 1/4, 1/2 or once the standard deviation that a number has on average."""
    scale = batch.box.deviation
    scale = scale.square().mean().sqrt() if batch.inputs.ndim == 4 else scale
    draw = torch.randn(batch.inputs.shape, generator=batch.generator)
    return batch.inputs + scale * 2.0 ** (severity - 3) * draw


def _blurred(batch: Batch, severity: int) -> Tensor:
    """A Gaussian blur of 1/32, 1/16 or 1/8 of the smaller side."""
    width = min(batch.inputs.shape[2:]) * 2.0 ** (severity - 6)
    reach = max(1, min(round(3 * width), min(batch.inputs.shape[2:]) - 1))
    weight = (-0.5 * (torch.arange(-reach, reach + 1) / width).square()).exp()
    weight = (weight / weight.sum()).to(batch.inputs.dtype)
    channels = batch.inputs.shape[1]
    padded = functional.pad(batch.inputs, (reach, reach, reach, reach), mode="reflect")
    rows = functional.conv2d(
        padded, weight.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels
    )
    return functional.conv2d(
        rows, weight.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels
    )


def _faded(batch: Batch, severity: int) -> Tensor:
    """A half, a quarter or an eighth of the contrast, about each image's own mean."""
    middle = batch.inputs.mean(dim=(1, 2, 3), keepdim=True)
    return middle + (batch.inputs - middle) * 0.5**severity


def _families() -> Iterator[Family]:
    noise = partial(Family, kind="far", group="noise")
    yield noise("uniform", "every number uniform within the range", make=_uniform)
    yield noise("gaussian", "normal numbers of the data's mean and scale", make=_gaussian)
    yield noise("bernoulli", "every number at one end of the range", make=_bernoulli)
    yield noise("constant", "one number everywhere", make=_constant)
    yield noise("marginals", "every number from another example", make=_marginals)
    torn = partial(Family, kind="far", group="arrangement", images=True)
    yield torn("blocks", "a coarse grid of random colors", make=_blocks)
    yield torn("permuted", "pixels in one random order", make=_permuted)
    yield torn("shuffled", "pixels of each image in an order of its own", make=_shuffled)
    turned = partial(Family, kind="near", group="arrangement")
    yield turned("inverted", "low for high", make=_inverted)
    yield turned("turned", "a quarter turn", make=_turned, images=True)
    yield turned("quadrants", "the quadrants of an image moved round", make=_quadrants, images=True)
    joined = partial(Family, kind="near", group="composition")
    yield joined("mixed", "the mean of two examples of different classes", make=_mixed)
    yield joined("spliced", "half of one example, half of another's", make=_spliced)
    yield joined("patched", "cells out of two examples", make=_patched, images=True)
    bent: tuple[tuple[str, str, Callable[..., Tensor], bool], ...] = (
        ("noisy", "noise on top", _noisy, False),
        ("blurred", "out of focus", _blurred, True),
        ("faded", "less contrast", _faded, True),
    )
    for name, says, make, images in bent:
        for level in (1, 2, 3):
            yield Family(
                f"{name} {level}",
                f"{says}, severity {level} of 3",
                "near",
                "corruption",
                partial(make, severity=level),
                images,
                strange=level == 3,
            )


FAMILIES: Mapping[str, Family] = {family.name: family for family in _families()}


def families(domain: Domain) -> dict[str, Family]:
    """The families that can be made of inputs of this domain."""
    if domain.kind == "tokens":
        return {}
    return {
        name: family for name, family in FAMILIES.items() if not family.images or _pictures(domain)
    }
