"""Is a guard a defense? The test in which the attacker knows it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from offmap.attempt import InputError
from offmap.estimate import Estimate, proportion
from offmap.guard.descent import Ball
from offmap.guard.guard import Guard
from offmap.guard.pursuit import Pursuit
from offmap.passes import device_of, evaluating
from offmap.run import Split

ROWS = 100  # examples attacked together
POOL = 2000  # examples among which guides are looked for
MEMORY_SHARE = 8  # they may take this part of the budget


@dataclass(frozen=True, slots=True, eq=False)
class AttackResult:
    """What an attacker achieves within a ball around real inputs, as shares of all examples.

    Args:
        radius: Of the ball.
        norm: Of the ball.
        untouched: Wrong answers that the guard accepts, without any attack.
        false_alarms: Refused, without any attack.
        bare: Wrong answers of the network alone, under attack.
        oblivious: Wrong and accepted, by an attacker who does not know of the guard.
        caught: Of the wrong answers which that attacker brings about, those that the guard
            refuses; None where there are none.
        adaptive: Wrong and accepted, by an attacker who knows the guard.
        inputs: The points found [n ...]; the examples themselves where there is none.
        columns: One value an example: its `row` in the split, whether it was `wrong` and `refused`
            before, success as `bare`, `oblivious` and `adaptive`, and `distance`, how far the
            adaptive attacker moved it (NaN without success).
        notes: What limits the result.
    """

    radius: float
    norm: str
    untouched: Estimate
    false_alarms: Estimate
    bare: Estimate
    oblivious: Estimate
    caught: Estimate | None
    adaptive: Estimate
    inputs: Float[Tensor, "n ..."]
    columns: Mapping[str, Tensor]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Infiltration:
    """How many strangers a guard lets in.

    Args:
        radius: Of the ball.
        norm: Of the ball.
        untouched: Accepted as they are.
        adaptive: Accepted after an attacker who knows the guard has moved them within the ball.
        inputs: The points found [n ...]; the strangers themselves where there is none.
        columns: One value a stranger: its `row`, success as `untouched` and `adaptive`, `distance`.
        notes: What limits the result.
    """

    radius: float
    norm: str
    untouched: Estimate
    adaptive: Estimate
    inputs: Float[Tensor, "n ..."]
    columns: Mapping[str, Tensor]
    notes: tuple[str, ...] = ()


def attack(
    guard: Guard,
    split: Split,
    *,
    radius: float,
    norm: str = "linf",
    steps: int = 100,
    restarts: int = 5,
    examples: int = 200,
    generator: torch.Generator,
) -> AttackResult:
    r"""Make the network err, past its guard, within a ball around real inputs.

    The oblivious attacker lowers :math:`z_y - \max_{k \ne y} z_k` and shows the guard where that
    ends (an input that is answered wrongly already stays as it is). The adaptive one wants two
    things of a point, and descends on

    .. math:: [z_y - \max_{k \ne y} z_k]_+ + c\,[\text{score} - \text{threshold}]_+

    through the guard's own score, with c bisected for each example from one restart to the next.
    It starts from the oblivious point, the input itself, interpolations towards the nearest
    examples of other classes, and random points. What the oblivious attacker found counts for it.
    Points lie in the domain, so that the contract holds, and success is what the guard itself says
    of the point, asked once more at the end.

    Args:
        guard: A guarded classifier of floating-point inputs.
        split: Real inputs with their classes.
        radius: Of the ball, in the unit of the inputs.
        norm: `linf`, or `l2`.
        steps: Of each descent.
        restarts: Descents of each attacker.
        examples: How many inputs are attacked, drawn at random.
        generator: Source of the choice and of random starts.

    Raises:
        InputError: If the guard does not classify, its inputs are whole numbers, there are no
            targets, or the network passes no gradient.
        ValueError: If a setting is out of range.

    Sources: Tramer (2022), https://arxiv.org/abs/2107.11630; Carlini and Wagner (2017),
    https://arxiv.org/abs/1705.07263.
    """
    _check(guard, radius, norm, steps, restarts, examples)
    if not guard.sight.classifies:
        raise InputError("expected a guarded classifier, got a regression: no answer is wrong")
    if split.known_targets is None:
        raise InputError(f"{split.name}: expected targets, without which no answer is wrong")
    pool = _pool(guard, split, generator)

    def hunt(pursuit: Pursuit) -> dict[str, Tensor]:
        return _attacked(pursuit, _guides(pool, pursuit, restarts), restarts, generator)

    columns, notes = _in_parts(guard, split, radius, norm, steps, examples, generator, hunt)
    n, reached = len(columns["row"]), columns.pop("reached")
    missed = int((reached & columns["oblivious"]).sum())
    count = {
        name: int(column.sum()) for name, column in columns.items() if column.dtype == torch.bool
    }
    return AttackResult(
        radius,
        norm,
        untouched=proportion(int((columns["wrong"] & ~columns["refused"]).sum()), n),
        false_alarms=proportion(count["refused"], n),
        bare=proportion(count["bare"], n),
        oblivious=proportion(count["oblivious"], n),
        caught=proportion(int(reached.sum()) - missed, int(reached.sum()))
        if reached.any()
        else None,
        adaptive=proportion(count["adaptive"], n),
        inputs=columns.pop("inputs"),
        columns=columns,
        notes=notes,
    )


def infiltrate(
    guard: Guard,
    strangers: Split,
    *,
    radius: float,
    norm: str = "linf",
    steps: int = 100,
    restarts: int = 5,
    examples: int = 200,
    familiar: Split | None = None,
    generator: torch.Generator,
) -> Infiltration:
    """Make the guard accept what lies off the map, by moving it within a ball.

    The same descent as in `attack`, with no other goal than to be accepted.

    Args:
        guard: Whose door it is.
        strangers: Inputs that it should refuse; their targets do not matter.
        radius: Of the ball, in the unit of the inputs.
        norm: `linf`, or `l2`.
        steps: Of each descent.
        restarts: Descents.
        examples: How many strangers are tried, drawn at random.
        familiar: Inputs from the map, towards which an attacker who has some can start.
        generator: Source of the choice and of random starts.

    Raises:
        InputError: If inputs are whole numbers.
        ValueError: If a setting is out of range.
    """
    _check(guard, radius, norm, steps, restarts, examples)
    pool = None if familiar is None else _pool(guard, familiar, generator)

    def hunt(pursuit: Pursuit) -> dict[str, Tensor]:
        pursuit = replace(pursuit, true=None)
        guides = () if pool is None else _guides(pool, pursuit, restarts)
        untouched = pursuit.succeeds(pursuit.ball.center)
        starts = _starts(pursuit, (), guides, generator)
        points, done = pursuit.run(pursuit.ball.center, untouched, starts, restarts)
        return {"untouched": untouched} | _outcome(pursuit, points, done)

    columns, notes = _in_parts(guard, strangers, radius, norm, steps, examples, generator, hunt)
    n = len(columns["row"])
    return Infiltration(
        radius,
        norm,
        untouched=proportion(int(columns["untouched"].sum()), n),
        adaptive=proportion(int(columns["adaptive"].sum()), n),
        inputs=columns.pop("inputs"),
        columns=columns,
        notes=notes,
    )


def _check(
    guard: Guard, radius: float, norm: str, steps: int, restarts: int, examples: int
) -> None:
    """Refuse what cannot be attacked.

    Raises:
        InputError: If inputs are whole numbers.
        ValueError: If a setting is out of range.
    """
    if radius <= 0 or min(steps, restarts, examples) < 1:
        raise ValueError(
            "expected radius > 0 and steps, restarts, examples >= 1, got "
            f"{radius}, {steps}, {restarts}, {examples}"
        )
    if norm not in ("linf", "l2"):
        raise ValueError(f"expected the norm linf or l2, got {norm!r}")
    if not guard.facts.domain.dtype.is_floating_point:
        raise InputError(
            f"expected floating-point inputs, got {guard.facts.domain.dtype}: the attack follows "
            "gradients, which whole numbers do not have"
        )


def _in_parts(
    guard: Guard,
    split: Split,
    radius: float,
    norm: str,
    steps: int,
    examples: int,
    generator: torch.Generator,
    hunt: Callable[[Pursuit], dict[str, Tensor]],
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """What `hunt` finds for a random sample of the split, as columns; and what limits it."""
    domain, device = guard.facts.domain, device_of(guard)
    rows = torch.randperm(len(split), generator=generator)[:examples].sort().values
    found: list[dict[str, Tensor]] = []
    notes: tuple[str, ...] = ()
    with evaluating(guard, gradients=True):
        for part in rows.split(ROWS):
            center = split.table.take(part).to(device)
            targets = None if split.known_targets is None else split.known_targets[part].to(device)
            ball = Ball(center, radius, norm, domain.low, domain.high)
            pursuit = Pursuit(guard, ball, targets, steps)
            notes = pursuit.limits()
            found.append({"row": part} | {k: v.cpu() for k, v in hunt(pursuit).items()})
    return {name: torch.cat([one[name] for one in found]) for name in found[0]}, notes


def _attacked(
    pursuit: Pursuit,
    guides: Iterable[Float[Tensor, "n ..."]],
    restarts: int,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Both attackers on some examples, as columns."""
    center = pursuit.ball.center
    verdict, wrong = pursuit.asked(center)
    blind, reached = pursuit.blindly(restarts, generator)
    oblivious = pursuit.succeeds(blind)
    starts = _starts(pursuit, (blind,), guides, generator)
    points, done = pursuit.run(blind, oblivious, starts, restarts)
    return {
        "wrong": wrong,
        "refused": ~verdict.accepted,
        "reached": reached,
        "bare": reached | done,
        "oblivious": oblivious,
        **_outcome(pursuit, points, done),
    }


def _outcome(
    pursuit: Pursuit, points: Float[Tensor, "n ..."], done: Bool[Tensor, " n"]
) -> dict[str, Tensor]:
    """What the adaptive attacker ends with, as columns."""
    shown = done.view(-1, *[1] * (points.ndim - 1))
    return {
        "adaptive": done,
        "distance": torch.where(done, pursuit.ball.distance(points), torch.nan),
        "inputs": torch.where(shown, points, pursuit.ball.center),
    }


def _starts(
    pursuit: Pursuit,
    given: Iterable[Float[Tensor, "n ..."]],
    guides: Iterable[Float[Tensor, "n ..."]],
    generator: torch.Generator,
) -> Iterator[Float[Tensor, "n ..."]]:
    """Where the adaptive attacker begins: what is given, the inputs, then guides and chance."""
    yield from given
    yield pursuit.ball.center
    for guide in guides:
        yield guide
        yield pursuit.ball.draw(generator)
    while True:
        yield pursuit.ball.draw(generator)


@dataclass(frozen=True, slots=True, eq=False)
class _Pool:
    """Inputs that the guard accepts [m ...], and their classes [m] where these are known."""

    inputs: Float[Tensor, "m ..."]
    targets: Int[Tensor, " m"] | None


def _pool(guard: Guard, split: Split, generator: torch.Generator) -> _Pool:
    """A sample of a split, less what the guard refuses."""
    most = max(1, split.memory // MEMORY_SHARE // max(1, split.table.row_bytes))
    rows = torch.randperm(len(split), generator=generator)[: min(POOL, most)].sort().values
    device = device_of(guard)
    with evaluating(guard):
        kept = [
            guard(split.table.take(part).to(device)).accepted.cpu() for part in rows.split(ROWS)
        ]
    rows = rows[torch.cat(kept)]
    targets = split.known_targets
    return _Pool(
        split.table.take(rows).to(device), None if targets is None else targets[rows].to(device)
    )


def _guides(pool: _Pool, pursuit: Pursuit, count: int) -> Iterator[Float[Tensor, "n ..."]]:
    """The nearest inputs of the pool of another class than each example's own, one by one."""
    center = pursuit.ball.center
    distance = torch.cdist(center.flatten(1).double(), pool.inputs.flatten(1).double())
    if pursuit.true is not None and pool.targets is not None:
        distance = distance.where(pursuit.true[:, None] != pool.targets, torch.inf)
    near = distance.topk(min(count, len(pool.inputs)), dim=1, largest=False).indices
    for column in near.T:
        yield pool.inputs[column]
