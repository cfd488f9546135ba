"""Scores put to the test: many fitted at once, and how well each tells strangers apart."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from offmap.estimate import TAIL, Estimate, area, proportion
from offmap.guard.ensemble import surprise, tabulated
from offmap.guard.progress import Agenda
from offmap.guard.seeing import Sight, known, views
from offmap.numerics.detection import detect
from offmap.numerics.ranking import auroc_influence
from offmap.passes import BATCH, device_of, evaluating
from offmap.run import Split
from offmap.score import FittedScore, Known, Score
from offmap.seeds import derive

KEPT = 0.95  # share of familiar inputs that pass, where misses are counted
DRAWS = 200  # of the bootstrap
REPEATS = 5  # of a timing

Values = Mapping[str, Float[Tensor, " n"]]  # what each candidate says of the rows of a split


@dataclass(frozen=True, slots=True)
class Cell:
    """How well one score tells one family of strangers from the familiar.

    Args:
        auroc: Probability that a stranger scores above a familiar input.
        aupr: Average precision with strangers as the positives, both sides equally frequent.
        fpr95: Share of strangers that pass when 95 % of familiar inputs do.
    """

    auroc: Estimate
    aupr: Estimate
    fpr95: Estimate


def cell(
    familiar: Float[Tensor, " n"],
    strange: Float[Tensor, " m"],
    *,
    paired: bool = False,
    generator: torch.Generator,
) -> Cell:
    """The three numbers with their intervals: DeLong's for the area, bootstrap for the others.

    Args:
        familiar: Scores of familiar inputs.
        strange: Scores of strangers.
        paired: Whether stranger i is made of familiar input i: the two are then one observation.
        generator: Of the bootstrap.
    """
    n, m = len(familiar), len(strange)
    pooled = torch.cat([familiar, strange])
    positive = torch.arange(n + m) >= n
    found, influence = auroc_influence(pooled, positive)
    rows = influence + found
    if paired:  # Obuchowski 1997
        rows = (rows[:n] + rows[n:]) / 2
    at = detect(familiar, strange, kept=KEPT)
    first = _resampled(n, generator)
    other = first if paired else _resampled(m, generator)
    draws = detect(familiar, strange, (first, other), kept=KEPT)
    few = min(n, m)
    precision, missed = float(at.aupr), float(at.fpr)
    return Cell(
        area(rows, positive),
        # a perfect ranking leaves a bootstrap nothing to resample: a share of the rarer side
        proportion(few, few) if precision >= 1 else _percentile(precision, draws.aupr, few),
        _with(_percentile(missed, draws.fpr, few), proportion(round(missed * m), m)),
    )


def _resampled(n: int, generator: torch.Generator) -> Float[Tensor, "draws n"]:
    """How often a bootstrap draw holds each row."""
    rows = torch.randint(n, (DRAWS, n), generator=generator)
    return torch.zeros(DRAWS, n).scatter_add_(1, rows, torch.ones(DRAWS, n))


def _percentile(value: float, draws: Tensor, n: int) -> Estimate:
    low, high = draws.quantile(torch.tensor([TAIL, 1 - TAIL], dtype=torch.double)).tolist()
    return Estimate(value, min(low, value), max(high, value), "bootstrap", n)


def _with(one: Estimate, other: Estimate) -> Estimate:
    """The interval of the first, at least as wide as that of the second."""
    low, high = min(one.low, other.low), max(one.high, other.high)
    return Estimate(one.value, low, high, one.method, one.n)


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """Scores fitted to one network.

    Args:
        sight: The network.
        members: The fitted scores by name.
        refused: Why the others cannot be fitted, by name.
        joined: Ensembles by name: the members of each.
        tables: How each member's value becomes a surprise; made of reference rows.
    """

    sight: Sight
    members: Mapping[str, FittedScore]
    refused: Mapping[str, str]
    joined: Mapping[str, tuple[str, ...]]
    tables: Mapping[str, tuple[Tensor, Tensor, Tensor]]

    @property
    def candidates(self) -> dict[str, tuple[str, ...]]:
        """Every score and ensemble by name, with its members."""
        return {name: (name,) for name in self.members} | dict(self.joined)

    def values(self, split: Split) -> dict[str, Float[Tensor, " n"]]:
        """What each candidate says of the rows of a split."""
        return self.with_ensembles(member_values(self.sight, self.members, split))

    def with_ensembles(self, found: Values) -> dict[str, Float[Tensor, " n"]]:
        """The values of the members, and those of the ensembles of them."""
        surprises = {
            name: surprise(found[name], *self.tables[name])
            for name in {name for names in self.joined.values() for name in names}
        }
        return dict(found) | {
            joint: torch.stack([surprises[name] for name in names]).mean(dim=0)
            for joint, names in self.joined.items()
        }


def member_values(
    sight: Sight, members: Mapping[str, nn.Module], split: Split
) -> dict[str, Float[Tensor, " n"]]:
    """What each score says of the rows of a split, from one pass of the network [n], float64."""
    found: dict[str, list[Tensor]] = {name: [] for name in members}
    with evaluating(sight), torch.no_grad():
        for seen in views(sight, split):
            for name, member in members.items():
                found[name].append(member(seen).cpu())
    return {name: torch.cat(values) for name, values in found.items()}


def panel(
    sight: Sight,
    train: Split,
    reference: Split,
    units: Mapping[str, Score],
    ensembles: Sequence[tuple[str, ...]],
    *,
    settings: Mapping[str, Mapping[str, Any]],
    seed: int,
    memory: int,
    agenda: Agenda | None = None,
) -> tuple[Panel, dict[str, Float[Tensor, " n"]]]:
    """Every score that can be fitted, and what each candidate says of the reference rows.

    Args:
        sight: The network.
        train: What it was trained on.
        reference: Fresh rows, which make the scores of ensembles comparable.
        units: The scores by name.
        ensembles: The members of each; those with a member that cannot be fitted are left out.
        settings: Settings by score.
        seed: Of the fits that draw.
        memory: Bytes that fitting may take.
        agenda: Each score is a step of it.
    """
    agenda = agenda or Agenda()
    facts = known(sight, train, memory)
    members: dict[str, FittedScore] = {}
    refused: dict[str, str] = {}
    for name, unit in units.items():
        with agenda.step(name):
            fitted = _fitted(unit, facts, settings.get(name, {}), seed)
        if isinstance(fitted, str):
            refused[name] = fitted
        else:
            members[name] = fitted.to(device_of(sight))
    found = member_values(sight, members, reference)
    for name in list(members):
        if (reason := _useless(found[name])) is not None:
            refused[name] = reason
            del members[name], found[name]
    joined = {" + ".join(names): names for names in ensembles if set(names) <= set(members)}
    wanted = {name for names in joined.values() for name in names}
    made = Panel(sight, members, refused, joined, {name: tabulated(found[name]) for name in wanted})
    return made, made.with_ensembles(found)


def _fitted(unit: Score, facts: Known, settings: Mapping[str, Any], seed: int) -> FittedScore | str:
    """The fitted score, or the sentence in which it refuses."""
    try:
        return unit.fitted(facts, generator=derive(seed, "score", unit.name), **settings)
    except ValueError as error:
        return str(error)


def _useless(values: Float[Tensor, " n"]) -> str | None:
    """Why a score that was fitted tells nothing apart; None if it does."""
    if not bool(values.isfinite().all()):
        return f"its score of reference row {int((~values.isfinite()).nonzero()[0])} is not finite"
    if bool((values == values[0]).all()):
        return f"it gives all {len(values)} reference rows the same score, {values[0].item():g}"
    return None


def overheads(made: Panel, split: Split) -> dict[str, float]:
    """Seconds that each member takes on a batch, over those of the network; ensembles: the sum."""
    inputs = split.part(0, BATCH).inputs.to(device_of(made.sight))
    with evaluating(made.sight), torch.no_grad():
        seen = made.sight(inputs)
        calls: dict[str, Callable[[], object]] = {"": lambda: made.sight(inputs)}
        for name, member in made.members.items():
            calls[name] = lambda member=member: member(seen)
        seconds = dict(_timed(calls))
    alone = {name: seconds[name] / seconds[""] for name in made.members}
    return {
        name: sum(alone[member] for member in members) for name, members in made.candidates.items()
    }


def _timed(calls: Mapping[str, Callable[[], object]]) -> Iterator[tuple[str, float]]:
    """Seconds of each call at its best: others at work on the machine only ever add to them."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(REPEATS):
        for name, call in calls.items():  # in turn, so that a busy moment hurts all alike
            begin = perf_counter()
            call()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            taken[name].append(perf_counter() - begin)
    yield from ((name, min(seconds)) for name, seconds in taken.items())


def state_bytes(made: Panel) -> dict[str, int]:
    """Bytes that each candidate keeps of training."""
    alone = {
        name: sum(buffer.nbytes for buffer in member.buffers())
        for name, member in made.members.items()
    }
    return {
        name: sum(alone[member] for member in members) for name, members in made.candidates.items()
    }
