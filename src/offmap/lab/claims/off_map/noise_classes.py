"""Noise gets a class, and mostly one of few."""

import torch

from offmap.figures import Matrix
from offmap.lab.claim import Paper, Trial, claim
from offmap.lab.claims.off_map.sure_digits import CLASSES, answers, classifiers
from offmap.numerics.entropy import label_bits

COMMONEST = 3


@claim(
    says="A network of digits takes more than four fifths of uniform noise for three of the ten "
    "classes.",
    effect="Share of one half of the noise in the three classes that are commonest for the other "
    "half; mean over networks.",
    above=0.8,
    scales={
        "smoke": {"widths": (64, 64), "epochs": 12, "networks": 2, "images": 500},
        "desk": {"widths": (128, 128), "epochs": 30, "networks": 10, "images": 2000},
        "full": {"widths": (128, 128), "epochs": 200, "networks": 20, "images": 5000},
    },
    seconds={"smoke": 0.5, "desk": 2.9, "full": 60},
    paper=Paper(
        "Hein, Andriushchenko and Bitterwolf 2019, Why ReLU networks yield high-confidence "
        "predictions far away from the training data",
        "https://arxiv.org/abs/1812.05720",
    ),
)
def noise_classes(
    *,
    widths: tuple[int, ...],
    epochs: int,
    networks: int,
    images: int,
    generator: torch.Generator,
) -> Trial:
    """Pixels uniform from 0 to 1, and three other kinds of noise beside them.

    These are pixels that are normal with the mean and deviation of all pixels, test digits with
    their pixels in an order drawn for each, and constant images. The control is test digits, of
    which three classes hold about three tenths. How many bits of the 3.32 of ten classes the
    answer to noise carries is among the parts.

    Args:
        widths: Of the hidden layers.
        epochs: Passes over the data.
        networks: Trained at once.
        images: Of each kind of noise.
        generator: Source of weights and noise.
    """
    known = classifiers(widths, epochs, networks, generator=generator)
    kinds = noises(known.test, images, generator=generator) | {"test digits": known.test}
    labels = {kind: answers(known.networks, x).argmax(dim=2) for kind, x in kinds.items()}
    shares = {kind: sum(map(_collapse, rows)) / networks for kind, rows in labels.items()}
    figure = Matrix(
        "What the first network takes noise for", "answer", "input",
        tuple(map(str, range(CLASSES))), tuple(labels),
        torch.stack([_counts(rows[0]) / rows.shape[1] for rows in labels.values()]),
    )  # fmt: skip
    bits = [label_bits(row) for row in labels["uniform"]]
    return Trial(
        effect=shares["uniform"],
        parts={f"in three classes, {kind}": share for kind, share in shares.items()}
        | {"bits of the answer to uniform noise": sum(bits) / networks},
        figures=(figure,),
    )


def noises(
    real: torch.Tensor, count: int, *, generator: torch.Generator
) -> dict[str, torch.Tensor]:
    """Images [count d] that mean nothing, of four kinds."""
    d = real.shape[1]
    rows = real[torch.arange(count) % len(real)]
    order = torch.rand(count, d, generator=generator).argsort(dim=1)
    level = torch.rand(count, 1, generator=generator)
    return {
        "uniform": torch.rand(count, d, generator=generator),
        "Gaussian": real.mean() + real.std() * torch.randn(count, d, generator=generator),
        "permuted pixels": rows.gather(1, order),
        "constant": level.expand(count, d),
    }


def _counts(labels: torch.Tensor) -> torch.Tensor:
    return torch.bincount(labels, minlength=CLASSES).double()


def _collapse(labels: torch.Tensor) -> float:
    """Share of one half of the labels in the classes commonest in the other half."""
    first, second = labels.tensor_split(2)
    commonest = _counts(first).argsort(descending=True, stable=True)[:COMMONEST]
    return torch.isin(second, commonest).double().mean().item()
