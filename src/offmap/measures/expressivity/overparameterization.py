"""How many parameters does the network have for each number that it was asked to fit?"""

from math import log10, prod

from torch import Tensor, nn

from offmap.attempt import CannotMeasure
from offmap.estimate import Estimate, exact
from offmap.figures import Bars
from offmap.measure import Cost, Paper, measure
from offmap.numerics.entropy import label_bits
from offmap.reading import Reading
from offmap.run import Split

BARS = 20  # weight tensors in the figure, the largest first


@measure(
    asks="Does the network have more parameters than its training data has numbers to fit?",
    unit="log10 of parameters per number",
    span=(float("-inf"), float("inf")),
    better="neither",
    cost=Cost.WEIGHTS,
    read="0: as many trainable parameters as numbers to fit (the interpolation threshold of a "
    "linear model). 1: ten times as many. -1: a tenth. Near 0 the fit to noisy labels tends to be "
    "at its most erratic; well above 1 the training data can usually be fitted exactly, and what "
    "generalizes is decided by how it is trained.",
    caution="Counts, not capacity: for a deep network the threshold also depends on the "
    "architecture and on the training procedure, and may lie an order of magnitude away. "
    "Parameters that training left frozen count only if they ask for a gradient now.",
    next_step="Within one unit of 0: try a network several times wider or narrower and compare "
    "test errors. Far above 0: read random_label_fit, and check for mislabeled examples, since "
    "they can be memorized.",
    paper=Paper("Belkin et al. 2019", "https://arxiv.org/abs/1812.11118"),
)
def overparameterization(model: nn.Module, train: Split) -> Reading:
    r"""Where the network stands between too few parameters to fit its data and more than enough.

    .. math:: \log_{10} \frac{P}{N}

    with :math:`P` the trainable parameters (those that require a gradient, shared ones once) and
    :math:`N` the numbers to fit: examples times classes (Belkin et al. 2019, for one output a
    class; positions times different tokens for sequences), or all numbers in the targets. It is a
    fact about this network and this data, hence exact; the reference is the threshold, 0.

    Raises:
        CannotMeasure: If no parameter requires a gradient, or there is nothing to fit.
    """
    weights = {name: w.numel() for name, w in model.named_parameters() if w.requires_grad}
    trainable = sum(weights.values())
    total = sum(w.numel() for w in model.parameters())
    if trainable == 0:
        raise CannotMeasure(
            f"none of the model's {total:,} parameters requires a gradient: "
            "set requires_grad on those that training changed"
        )
    numbers = _numbers_to_fit(train)
    if numbers == 0:
        raise CannotMeasure("the training targets hold no numbers to fit")
    parts = {
        "trainable parameters": exact(trainable),
        "frozen parameters": exact(total - trainable),
        "training examples": exact(len(train)),
        "numbers to fit": exact(numbers),
        "parameters per training example": exact(trainable / len(train)),
        "parameters per number to fit": exact(trainable / numbers),
    }
    largest = sorted(weights, key=lambda name: -weights[name])[:BARS]
    return Reading(
        exact(log10(trainable / numbers), len(train)),
        null=exact(0.0),
        parts=parts | _per_bit(trainable, train.known_targets),
        figures=(
            Bars("Largest weights", "parameters", {name: exact(weights[name]) for name in largest}),
        ),
    )


def _numbers_to_fit(train: Split) -> int:
    """Independent outputs that the training data pins down; nothing is read but the targets."""
    targets = train.known_targets
    if targets is None:
        return len(train) * prod(train.shape)
    if targets.is_floating_point():
        return targets.numel()
    return targets.numel() * len(targets.unique())


def _per_bit(trainable: int, targets: Tensor | None) -> dict[str, Estimate]:
    """Parameters per bit of the labels, where there are labels and they differ."""
    if targets is None or targets.is_floating_point():
        return {}
    bits = targets.numel() * label_bits(targets)
    parts = {"bits in all labels": exact(bits)}
    return parts | ({"parameters per label bit": exact(trainable / bits)} if bits > 0 else {})
