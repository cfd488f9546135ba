"""A world in which everything about a guard is known: a standard normal number, and its sign.

The network answers with logits (x, -x). It is sure where |x| is large, and its energy falls with
|x|: inputs near zero are strange to it. Labels follow its probabilities exactly.
"""

import torch
from scipy import integrate, special, stats
from torch import Tensor, nn

from offmap.guard.guard import Guard
from offmap.numerics.corners import threshold
from offmap.run import Split


def network() -> nn.Module:
    head = nn.Linear(1, 2, bias=False)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[1.0], [-1.0]]))
    return nn.Sequential(head)


def drawn(n: int, generator: torch.Generator, name: str = "split") -> Split:
    x = torch.randn(n, 1, generator=generator)
    first = torch.rand(n, generator=generator) < (2 * x[:, 0]).sigmoid()
    return Split(x, (~first).long(), name=name)


def narrowest(guard: Guard) -> list[float]:
    """For each group of the guard, the |x| up to which it calls inputs strange."""
    found: Tensor = threshold(guard.ruler.position, guard.ruler.level, guard.ruler.rate)
    return (-found).exp().div(2).clamp(min=1).acosh().tolist()


def strange(guard: Guard) -> float:
    """The rate at which familiar inputs are refused as off the map, exactly."""
    if len(guard.ruler.position) == 1:
        return float(2 * stats.norm.cdf(narrowest(guard)[0]) - 1)
    return sum(float(stats.norm.cdf(c)) - 0.5 for c in narrowest(guard))


def risk(guard: Guard) -> float:
    """The error of accepted answers, exactly; for one group."""
    least = narrowest(guard)[0]
    if guard.sure is not None:  # log sigmoid(2 |x|) > sure
        chance = torch.tensor(guard.sure, dtype=torch.double).exp()
        least = max(least, chance.logit().item() / 2)

    def wrong(x: float) -> float:
        return stats.norm.pdf(x) * special.expit(-2 * x)

    return integrate.quad(wrong, least, least + 10)[0] / stats.norm.sf(least)
