"""Does the split go where no training example goes, in directions no gradient ever touched?"""

from collections.abc import Iterator

import torch
from jaxtyping import Float64, Int64, Shaped
from torch import Tensor, nn

from offmap.attempt import CannotMeasure
from offmap.estimate import Estimate, exact
from offmap.figures import Bars, Gallery, Matrix
from offmap.measure import Cost, Paper, measure
from offmap.measures.geometry.layer_spans import layer_shares
from offmap.measures.geometry.off_span import noise_changes, share, slope_shares
from offmap.numerics.span import Span, alone, faint, outside, span_of
from offmap.reading import Reading
from offmap.run import Domain, Split

SAMPLE = 256  # examples that are moved, whose slopes are taken, and that layers are shown
LEFT_OUT = 1000  # training examples that are left out, one at a time
NUMBERS = 2**22  # that are read at once
WIDEST = 64  # pixels on a side of a picture of directions
SHOWN = 12  # examples in the gallery, coordinates in the notes


@measure(
    asks="How much of each input lies in directions that no training example takes?",
    unit="share of the input",
    span=(0.0, 1.0),
    better="lower",
    cost=Cost.BACKWARD,
    read="0: the inputs stay within the span of the training data. 0.08: as noise does on pictures "
    "of which 8 % of the pixels are dead in train. What the network makes of that part comes from "
    "its initial weights: gradients have no component there, so training never changed it.",
    caution="Linear: data on a curved sheet take every direction and leave none unseen. A "
    "direction that a single training example takes counts as seen: see what lies in directions "
    "barely taken. Adam leaves dead coordinates alone but moves weights in other such directions.",
    next_step="Take the untrained part out of the first layer (offmap.numerics.span.trained): no "
    "answer within the span changes, and what lies outside loses its effect. Or train with weight "
    "decay, from a smaller initialization, or with noise in these directions.",
    paper=Paper("Melamed et al. 2023", "https://arxiv.org/abs/2303.00783"),
)
def unseen_directions(
    model: nn.Module,
    split: Split,
    train: Split,
    domain: Domain,
    *,
    tolerance: float = 1e-6,
    level: float = 1e-3,
    examples: int = 1024,
    largest: int = 4096,
    generator: torch.Generator,
) -> Reading:
    r"""Mean share of an example's squared distance from the mean that is off the span of train.

    .. math:: \lVert P_\perp (x - \bar x) \rVert^2 / \lVert x - \bar x \rVert^2

    with :math:`P_\perp` onto the directions orthogonal to the affine hull of the training inputs,
    those whose singular value is below `tolerance` times the largest. The null is the same for
    training examples, each against the hull of the others.

    The parts say how much the network reacts there: what part of its weights training never moved
    (for each layer, in directions that its own input never takes; convolutions read patches), how
    much of its slope points there, and how many predictions noise there changes, beside noise of
    the same length in the other directions.

    Args:
        model: The network.
        split: The examples to read.
        train: What spans the directions.
        domain: Kind, shape and range of an input.
        tolerance: Of singular values, relative to the largest.
        level: Directions are barely taken where train has less than this part of what it has in
            an average direction.
        examples: Training examples from which the inputs of layers are taken.
        largest: Most dimensions in which directions are sought; beyond, coordinates alone.
        generator: Source of samples, noise and directions.

    Raises:
        CannotMeasure: If inputs are tokens, or all training inputs are equal.
        ValueError: If fewer than two examples are asked for, or the level is not positive.
    """
    if domain.kind == "tokens":
        raise CannotMeasure("token numbers have no directions")
    if examples < 2 or level <= 0:
        raise ValueError(f"expected examples >= 2 and level > 0, got {examples} and {level}")
    order = torch.randperm(len(train), generator=generator)
    span = span_of(_chunks(train, order), tolerance=tolerance, largest=largest)
    if span.variance == 0:
        raise CannotMeasure("all training inputs are equal: they span no direction")
    rows = torch.cat([outside(span, chunk.flatten(1)) for chunk in split.table.chunks()])
    some = split.take(torch.randperm(len(split), generator=generator)[:SAMPLE])
    left_out = train.table.take(order[: min(span.rows, LEFT_OUT)]).flatten(1)
    parts = _shares(span, some.inputs.flatten(1), left_out, level)
    parts |= slope_shares(model, some, span, level=level, generator=generator)
    if span.codimension and some.inputs.is_floating_point():
        known = train.known_targets
        classes = known is not None and not known.is_floating_point()
        parts |= noise_changes(model, some, span, domain, classes=classes, generator=generator)
    layers = layer_shares(
        model, train.take(order[:examples]), some, span, largest=largest, generator=generator
    )
    parts |= {f"{name}: weights never trained": found for name, found in layers.weights.items()}
    headline = share(rows)
    bars = {"inputs": headline, **layers.inputs}
    return Reading(
        headline,
        null=exact(0.0) if span.moment is None else share(alone(span, left_out)),
        parts=parts,
        per_example=rows,
        figures=(
            Bars("Share of what each layer reads that lies in unseen directions", "share", bars),
            *_picture(span, domain),
            *_gallery(split, rows),
        ),
        notes=(*_named(span, domain), *layers.notes),
    )


def _shares(
    span: Span, inputs: Shaped[Tensor, "m d"], train: Shaped[Tensor, "t d"], level: float
) -> dict[str, Estimate]:
    """How many directions are unseen, and what lies in those that train barely takes."""
    d = len(span.center)
    parts = {
        "directions unseen, of all": exact(span.codimension / d, span.rows),
        "coordinates that never vary, of all": exact(len(span.flat) / d, span.rows),
    }
    if span.moment is not None:
        for name, rows in (("", inputs), ("train: ", train)):
            barely = faint(span, rows.cpu().double() - span.center, level=level)
            parts[f"{name}in directions barely taken"] = share(barely)
    return parts


def _chunks(train: Split, order: Int64[Tensor, " n"]) -> Iterator[Shaped[Tensor, "m d"]]:
    """The training inputs in random order, some at a time."""
    size = max(1, NUMBERS // max(1, torch.Size(train.shape).numel()))
    for rows in order.split(size):
        yield train.table.take(rows.sort().values).flatten(1)


def _picture(span: Span, domain: Domain) -> tuple[Matrix, ...]:
    """Where the unseen directions lie in a picture: 1 is a pixel that never varies."""
    if domain.kind != "image" or not span.codimension or max(domain.shape[-2:]) > WIDEST:
        return ()
    weight = span.unseen.square().sum(dim=1).index_fill_(0, span.flat, 1.0)
    pixels = weight.view(-1, *domain.shape[-2:]).mean(dim=0)
    height, width = pixels.shape
    return (
        Matrix(
            "Share of each pixel that lies in unseen directions", "column", "row",
            tuple(map(str, range(width))), tuple(map(str, range(height))), pixels,
        ),
    )  # fmt: skip


def _gallery(split: Split, rows: Float64[Tensor, " n"]) -> tuple[Gallery, ...]:
    """The examples with the most outside."""
    worst = rows.argsort(descending=True, stable=True)[:SHOWN]
    worst = worst[rows[worst] > 0]
    if not len(worst):
        return ()
    return (
        Gallery(
            f"The examples of {split.name} with the most in unseen directions",
            (split.name,),
            worst[:, None],
            tuple(f"share {value:.3g}" for value in rows[worst].tolist()),
        ),
    )


def _named(span: Span, domain: Domain) -> tuple[str, ...]:
    """Which coordinates never vary, and what was not looked for."""
    notes = []
    if len(span.flat):
        places = torch.unravel_index(span.flat[:SHOWN], domain.shape)
        named = ", ".join(str(place[0] if len(place) == 1 else place) for place in zip(
            *(axis.tolist() for axis in places), strict=True))  # fmt: skip
        more = f" and {len(span.flat) - SHOWN} more" if len(span.flat) > SHOWN else ""
        notes.append(f"In train these numbers of an input never vary: {named}{more}.")
    if span.unseen.shape[1]:
        notes.append(
            f"{span.unseen.shape[1]} more directions, across several numbers, are never taken."
        )
    if span.moment is None:
        notes.append(
            f"An input has {len(span.center)} numbers, too many to seek directions among them: "
            "only numbers that never vary were looked for."
        )
    return tuple(notes)
