"""Are these inputs as likely as training inputs are: neither less nor more?"""

import math

import torch
from jaxtyping import Float64
from torch import Tensor

from offmap.attempt import CannotMeasure
from offmap.estimate import Estimate, exact, mean, proportion, quantile
from offmap.figures import Gallery, Histogram
from offmap.inputs import MEMORY_SHARE
from offmap.measure import Cost, Paper, measure
from offmap.measures.geometry.nearest_train import share_beyond
from offmap.numerics.density import bits_of_coins, fit_gaussian
from offmap.reading import Reading
from offmap.run import Domain, Split
from offmap.table import CHUNK_BYTES

BINS = 40
SHOWN = 12  # examples in the gallery
LEAST = 30  # examples that the density is fitted to
MOST = 100  # components
ROUNDING = 1e-9  # of a log density


@measure(
    asks="How many inputs of this split are less likely, or likelier, than training inputs are?",
    unit="share of examples",
    span=(0.0, 1.0),
    better="lower",
    cost=Cost.WEIGHTS,
    read="0.05: as held-out training inputs, by construction. 0.9: nine in ten have a likelihood "
    "as far from the usual as one in twenty training inputs has. Too likely counts as well: the "
    "mean image is the likeliest of all and looks like none of them.",
    caution="The density is a Gaussian, which knows means and correlations and nothing finer: "
    "what it calls typical may still be nonsense. One input at a time, a test on likelihood is "
    "weak: a share near 0.05 proves little.",
    next_step="Look at the atypical examples. Too unlikely: noise, another range or another "
    "source; check the preprocessing first. Too likely: blank, dark or blurred inputs; refuse "
    "them with a guard that is two-sided.",
    paper=Paper("Nalisnick et al. 2019", "https://arxiv.org/abs/1906.02994"),
)
def typicality(
    split: Split,
    train: Split,
    domain: Domain,
    *,
    variance: float = 0.9,
    examples: int = 6000,
    level: float = 0.05,
    generator: torch.Generator,
) -> Reading:
    r"""Share of the split whose log density is farther from typical than 95 % of train's.

    .. math:: P(|{-\log p(x)} - m|_\pm > q)

    p is a Gaussian with free variances along the leading principal components and one variance
    across all others, fitted to a third of the training examples looked at. A second third says
    what is typical: m is the median, and distances from it are in units of how far the central 95 %
    reach on that side. q is the 95 % quantile of that over the last third: so a fresh training
    example is beyond it with probability 0.05 whatever the law, and the null is that share. The
    interval counts the error of q.

    Where the domain is bounded, a part says how small the data's world is: inputs thresholded at
    the middle of the range are bits; coding each as a coin of its own takes H of D bits, so that
    the data occupy no more than about 2^(H - D) of all such inputs.

    Args:
        split: The examples to read.
        train: What the network was trained on.
        domain: Tokens have no density; a bounded range has thresholded inputs.
        variance: Share that the components with variances of their own carry.
        examples: Training examples that are looked at; fewer where they exceed the memory.
        level: Share of training inputs that count as atypical.
        generator: Source of the sample.

    Raises:
        ValueError: If the level or the variance is not between 0 and 1.
        CannotMeasure: If inputs are tokens, all training inputs are equal, or they are too few
            (216 for a level of 0.05).
    """
    if not (0 < level < 1 and 0 <= variance <= 1):
        raise ValueError(f"expected level and variance in (0, 1), got {level} and {variance}")
    if domain.kind == "tokens":
        raise CannotMeasure("token numbers have no density")
    fitted, *others = _thirds(train, examples, generator)
    if len(fitted) < LEAST or bool((fitted == fitted[0]).all()):
        raise CannotMeasure(
            f"a density needs {LEAST} training inputs that differ, got {len(fitted)} for it"
        )
    most = min(MOST, len(fitted) // 3)
    density = fit_gaussian(fitted, share=variance, most=most, generator=generator)
    typical, held = (density.negative_log_density(rows) for rows in others)
    size = max(1, CHUNK_BYTES // (8 * fitted.shape[1]))
    found = torch.cat([
        density.negative_log_density(chunk.flatten(1)) for chunk in split.table.chunks(size)
    ])  # fmt: skip
    ends = torch.tensor([level / 2, 0.5, 1 - level / 2], dtype=torch.double)
    usual = typical.quantile(ends).tolist()
    strange, known = _strangeness(found, *usual), _strangeness(held, *usual)

    edge = quantile(known, 1 - level)
    outside, excess = strange > edge.value, found - usual[1]
    parts = {
        "too unlikely": proportion(int((outside & (excess > 0)).sum()), len(found)),
        "too likely": proportion(int((outside & (excess < 0)).sum()), len(found)),
    }
    if len(found) >= 6:  # the least for an interval of a median
        parts["median excess over train, nats"] = quantile(excess)
    return Reading(
        share_beyond(strange, edge),
        null=exact(int((known > edge.value).sum()) / len(held), len(held)),
        parts=parts | _thresholded(fitted, torch.cat(others), domain),
        per_example=excess,
        figures=(
            _histogram(split.name, excess, held - usual[1]),
            *_gallery(split.name, excess, outside),
        ),
    )


def _thirds(train: Split, examples: int, generator: torch.Generator) -> list[Tensor]:
    """Three samples of training inputs, [m, d] each, no example in two of them."""
    most = train.memory // (2 * MEMORY_SHARE) // (8 * max(1, math.prod(train.shape)))
    size = min(len(train), examples, most) // 3
    chosen = torch.randperm(len(train), generator=generator)[: 3 * size].view(3, size)
    return [train.take(rows.sort().values).inputs.flatten(1) for rows in chosen]


def _strangeness(
    values: Float64[Tensor, " m"], low: float, middle: float, high: float
) -> Float64[Tensor, " m"]:
    """Distance from the middle, in units of the end that lies on that side."""
    least = ROUNDING * (1 + abs(middle))  # where all are equally likely, as corners of a box are
    above, below = max(high - middle, least), max(middle - low, least)
    return torch.maximum((values - middle) / above, (middle - values) / below)


def _thresholded(fitted: Tensor, held: Tensor, domain: Domain) -> dict[str, Estimate]:
    """The share of all black-and-white inputs that look like the data, at most, as a logarithm."""
    if domain.low is None or domain.high is None:
        return {}
    middle = (domain.low + domain.high) / 2
    bits = bits_of_coins(fitted > middle, held > middle)
    return {"log2 share of black-and-white inputs like these, at most": mean(bits - held.shape[1])}


def _histogram(name: str, found: Float64[Tensor, " n"], known: Float64[Tensor, " m"]) -> Histogram:
    """Excess of both, as shares; what lies far out is counted in the last bin."""
    ranked = torch.cat([found, known]).sort().values
    low, high = ranked[len(ranked) // 200].item(), ranked[-1 - len(ranked) // 200].item()
    high = max(high, low + 1e-6 * (1 + abs(low)))
    edges = torch.linspace(low, high, BINS + 1, dtype=torch.double)

    def share(values: Tensor) -> Tensor:
        counts, _ = torch.histogram(values.clamp(edges[0].item(), edges[-1].item()), edges)
        return counts / len(values)

    return Histogram(
        "Likelihood beside that of training inputs",
        "negative log density over train's median, nats",
        edges,
        {name: share(found), "train, held out": share(known)},
    )


def _gallery(name: str, excess: Float64[Tensor, " n"], outside: Tensor) -> tuple[Gallery, ...]:
    """The most atypical examples of both kinds, in turn."""
    rows = outside.nonzero().flatten()
    if not len(rows):
        return ()
    order = rows[excess[rows].argsort(descending=True)]
    half = min(SHOWN // 2, len(order))
    shown = torch.cat([order[:half], order[max(half, len(order) - half) :].flip(0)])
    captions = tuple(f"{excess[row].item():+.3g} nats" for row in shown.tolist())
    title = f"The most atypical examples of {name}: least likely, then likeliest"
    return (Gallery(title, (name,), shown[:, None], captions),)
