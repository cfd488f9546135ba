"""What does the network answer to inputs that mean nothing?"""

from collections.abc import Mapping

import torch
from jaxtyping import Float64, Shaped
from torch import Tensor, nn

from offmap.estimate import Estimate, exact, mean
from offmap.figures import Bars, Matrix
from offmap.inputs import ClassPredictions
from offmap.measure import Cost, Paper, measure
from offmap.measures.strong_generalization.noise import box_of, mean_probability, sampled
from offmap.numerics.noise import Box, shuffled
from offmap.passes import BATCH, evaluating, outputs
from offmap.reading import Reading
from offmap.run import Domain, Split

COMMONEST = 3  # classes whose share of the answers is counted
COLUMNS = 20  # classes in the picture of the answers
FAMILIES = ("uniform", "Gaussian", "permuted", "constant")


@measure(
    asks="What does the network answer to inputs that mean nothing?",
    unit="probability",
    span=(0.0, 1.0),
    better="lower",
    cost=Cost.MANY_PASSES,
    read="Mean confidence on noise. 0.9: nine tenths sure of the class of random pixels, as on "
    "real inputs. The null, 1 over the number of classes: a network that has no opinion. Shares "
    "of the commonest classes near 1 (3 in 10 for a network without preference) name the answers "
    "that garbage is given.",
    caution="Of the families, permuted pixels and constants can come near real inputs where those "
    "are textures or blank. Noise is the easiest of what lies off the map: a network that is "
    "unsure of noise can still be sure of a picture of something else.",
    next_step="Put a guard in front (`offmap guard`), or add noise to training with no class as "
    "its target: far noise is learned from one family, near fakes are not.",
    paper=Paper("Hendrycks, Mazeika and Dietterich 2019", "https://arxiv.org/abs/1812.04606"),
)
def noise_answers(
    model: nn.Module,
    test: Split,
    test_predictions: ClassPredictions,
    domain: Domain,
    *,
    examples: int = 500,
    sure: float = 0.9,
    generator: torch.Generator,
) -> Reading:
    r"""Mean of :math:`\max_k \operatorname{softmax}_k f(x)` over four families of noise.

    Uniform between the bounds of the domain (of the data, where it has none); Gaussian with the
    mean and deviation of the data, clipped to the domain; test inputs with their pixels (or
    coordinates) in an order drawn for each; constants. All lie within the domain.

    The commonest classes are chosen on half of the noise and counted on the other half, so that
    their share is not too high for having been chosen: 3 classes, or a third of them if fewer.

    Args:
        model: The network.
        test: Where the inputs to permute come from, and the moments.
        test_predictions: What the network says there.
        domain: The contract of an input.
        examples: Inputs of each family.
        sure: A confidence that counts as sure.
        generator: Source of the noise.

    Raises:
        ValueError: If fewer than four examples are asked for, or sure is not in (0, 1).
        CannotMeasure: If inputs are tokens.
    """
    if examples < 4 or not 0 < sure < 1:
        raise ValueError(f"expected examples >= 4 and sure in (0, 1), got {examples} and {sure}")
    real = sampled(test, domain, examples, generator)
    box, rows = box_of(real, domain), torch.arange(examples) % len(real)
    said = {
        family: _answers(model, real[rows], family, box, domain, generator) for family in FAMILIES
    }
    classes = test_predictions.logits.shape[1]
    top = max(1, min(COMMONEST, classes // 3))
    confidence = {name: answer.probs.amax(dim=1) for name, answer in said.items()}
    noise = torch.cat(list(confidence.values()))
    confidence["test"] = test_predictions.probs.amax(dim=1)
    bars = {name: mean_probability(rows) for name, rows in confidence.items()}
    parts = {f"{name}: confidence": found for name, found in bars.items()}
    for name, rows in confidence.items():
        parts[f"{name}: above {sure:g}"] = mean((rows > sure).double())
    for name, answer in said.items():
        parts[f"{name}: in the {top} commonest classes"] = _collapse(answer.labels, top)
    return Reading(
        mean_probability(noise),
        null=exact(1 / classes),
        parts=parts,
        figures=(
            Bars(
                "Confidence on noise", "mean confidence", bars | {"test": parts["test: confidence"]}
            ),
            _histogram(said, classes),
        ),
        notes=tuple(_note(name, answer) for name, answer in said.items()),
    )


def _answers(
    model: nn.Module,
    real: Shaped[Tensor, "m ..."],
    family: str,
    box: Box,
    domain: Domain,
    generator: torch.Generator,
) -> ClassPredictions:
    """What the network says of as many inputs of a family."""
    found = []
    with evaluating(model):
        for part in real.split(BATCH):
            noise = _drawn(part, family, box, generator)
            noise = noise if part.is_floating_point() else noise.round()
            if domain.low is not None or domain.high is not None:
                noise = noise.clamp(domain.low, domain.high)
            _, logits = next(outputs(model, Split(noise.to(part.dtype), name=f"{family} noise")))
            found.append(logits.cpu())
    logits = torch.cat(found)
    return ClassPredictions(logits, torch.zeros(len(logits), dtype=torch.long))


def _drawn(
    real: Shaped[Tensor, "b ..."], family: str, box: Box, generator: torch.Generator
) -> Float64[Tensor, "b ..."]:
    """A batch of one family, in the shape of the real inputs."""
    if family == "permuted":
        return shuffled(real, generator).double()
    draw = {"uniform": box.uniform, "Gaussian": box.gaussian, "constant": box.constant}[family]
    return draw(len(real), generator)


def _collapse(labels: Tensor, top: int) -> Estimate:
    """Share of one half of the answers in the classes that are commonest in the other half."""
    half = len(labels) // 2
    chosen = torch.bincount(labels[:half]).argsort(descending=True, stable=True)[:top]
    return mean(torch.isin(labels[half:], chosen).double())


def _histogram(said: Mapping[str, ClassPredictions], classes: int) -> Matrix:
    """Share of each family's answers in each class, the commonest classes of all noise."""
    counts = torch.stack([
        torch.bincount(answer.labels, minlength=classes).double() / len(answer)
        for answer in said.values()
    ])  # fmt: skip
    shown = counts.sum(dim=0).argsort(descending=True, stable=True)[:COLUMNS].sort().values
    columns = tuple(f"class {k}" for k in shown.tolist())
    return Matrix(
        "What noise is taken for", "answer", "family", columns, tuple(said), counts[:, shown]
    )


def _note(name: str, answer: ClassPredictions) -> str:
    """The default answer of the network to a family."""
    counts = torch.bincount(answer.labels)
    share, commonest = counts.max().item() / len(answer), int(counts.argmax())
    return f"{name}: taken for class {commonest} {100 * share:.0f} % of the time."
