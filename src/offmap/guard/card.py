"""The card of a guard: what it promises, what it does not, and what it was made of, as Markdown."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from offmap.catalog import scores as all_scores
from offmap.estimate import Estimate, proportion
from offmap.guard.attack import AttackResult
from offmap.guard.calibrate import CERTAINTY
from offmap.guard.coverage import Covered
from offmap.guard.facts import Facts
from offmap.numerics.selective import GroupCounts

if TYPE_CHECKING:
    from offmap.guard.guard import Guard

LIMITS = (
    "It holds for inputs that come from where the calibration data came from, each as likely in "
    "any order. When the source changes, more or fewer familiar inputs than stated are refused: "
    "watch the stream alarm, and calibrate anew.",
    "It bounds how often familiar inputs are refused. It says nothing of how many strangers are: "
    "no data can, for nobody has seen all of them.",
    "It does not hold against people who search for inputs that pass. Those who know the guard can "
    "be expected to find some: `offmap guard attack` counts how many.",
    "An accepted answer can be wrong. Only a bound on the risk speaks of that.",
    "It is about all inputs together, not about any group of them that nobody named.",
)


def card(
    guard: "Guard",
    *,
    coverage: Mapping[str, Covered] | None = None,
    groups: GroupCounts | None = None,
    attack: AttackResult | None = None,
) -> str:
    """What people should know before they rely on a guard.

    Args:
        guard: The guard.
        coverage: What it refuses of each family of strangers, from `coverage_matrix`.
        groups: What refusing does to each group of fresh data, from `coverage_by_group`.
        attack: What an attacker achieves, from `attack`.
    """
    facts = guard.facts
    parts = [
        f"# Guard of {_plain(facts.name)}",
        _promise(facts),
        _section("What it does not promise", _bullets(LIMITS)),
        _section("How it decides", _decisions(guard)),
        "" if coverage is None else _section("What it does to strangers", _strangers(coverage)),
        "" if groups is None else _section("What refusing does to each group", _groups(groups)),
        "" if attack is None else _section("What an attacker achieves", _attacked(attack)),
        _section("What it was made of", _made(guard)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _promise(facts: Facts) -> str:
    each = " of each predicted class" if facts.per_class else ""
    sure = (
        "on average over calibration sets"
        if facts.confidence is None
        else f"for this calibration set, with certainty {facts.confidence:.0%}"
    )
    lines = [
        f"Of familiar inputs{each}, at most {_percent(facts.alpha)} are refused as off the map, "
        f"{sure}. With {facts.counts['calibration']:,} calibration examples the share of familiar "
        f"inputs that is refused is {facts.promise:.2%} (so for 95 % of calibration sets)."
    ]
    if facts.disputed is not None:
        lines.append(
            f"At most {_percent(facts.disputed)} of familiar inputs are called disputed: the "
            "nearest training examples have other labels. The two rates add up."
        )
    if facts.risk is not None and facts.accepted_risk is not None:
        lines.append(
            f"Of accepted answers at most {_percent(facts.risk)} are wrong, with certainty "
            f"{_percent(CERTAINTY)}; of the calibration examples kept for it, "
            f"{_percent(facts.accepted_risk.value)} of the accepted ones were wrong, and "
            f"{facts.accepted_share:.1%} of all were accepted."
        )
    return _section("What it promises", _bullets(lines))


def _decisions(guard: "Guard") -> str:
    facts = guard.facts
    domain = facts.domain
    low = "-infinity" if domain.low is None else f"{domain.low:g}"
    high = "infinity" if domain.high is None else f"{domain.high:g}"
    rows = [
        ("contract", f"shape {domain.shape}, {domain.dtype}, finite, from {low} to {high}"),
        ("off_map", f"p-value up to {guard.ruler.rate:.4g}"),
    ]
    if guard.sure is not None:
        rows.append(("uncertain", f"log-probability of the class up to {guard.sure:.6g}"))
    if guard.dispute is not None:
        rows.append(("disputed", f"p-value of the dispute up to {guard.dispute.rate:.4g}"))
    known = all_scores()
    scores = [
        (name, known[name].says if name in known else "", json.dumps(dict(settings)))
        for name, settings in facts.scores.items()
    ]
    joined = "\n\nTheir surprise is averaged." if len(scores) > 1 else ""
    return (
        "An input is refused for the first of these reasons that holds.\n\n"
        + _table(("reason", "refused"), rows)
        + "\n\nStrange is what these scores find strange:\n\n"
        + _table(("score", "measures", "settings"), scores)
        + joined
    )


def _strangers(coverage: Mapping[str, Covered]) -> str:
    rows = [
        (name, cell.distance, "yes" if cell.strange else "may pass", f"{cell.refused:.1%}")
        for name, cell in coverage.items()
    ]
    own = {name: cell.refused for name, cell in coverage.items() if cell.strange}
    least = min(own, key=lambda name: own[name].value, default=None)
    worst = (
        ""
        if least is None
        else f"\n\nLeast of all it refuses {_plain(least)}: {own[least]:.1%}. Of strangers that "
        "nobody thought of, expect no more."
    )
    return (
        "The share that is refused of each family of strangers, made of fresh examples.\n\n"
        + _table(("family", "distance", "ought to be refused", "refused"), rows)
        + worst
    )


def _groups(groups: GroupCounts) -> str:
    rows = []
    for name, count, wrong, kept, left in zip(*(part.tolist() for part in groups), strict=True):
        error = f"{proportion(left, kept):.1%}" if kept else "none accepted"
        shares = (proportion(kept, count), proportion(wrong, count))
        rows.append((str(name), f"{count:,}", *(f"{share:.1%}" for share in shares), error))
    return _table(("group", "examples", "accepted", "error of all", "error of accepted"), rows)


def _attacked(attack: AttackResult) -> str:
    shares: dict[str, Estimate | None] = {
        "wrong and accepted without an attack": attack.untouched,
        "refused without an attack": attack.false_alarms,
        "wrong under attack, network alone": attack.bare,
        "wrong and accepted, attacker does not know of the guard": attack.oblivious,
        "refused, of what that attacker makes wrong": attack.caught,
        "wrong and accepted, attacker knows the guard": attack.adaptive,
    }
    rows = [(what, f"{share:.1%}") for what, share in shares.items() if share is not None]
    return (
        f"Within a ball of radius {attack.radius:g} ({attack.norm}) around fresh examples.\n\n"
        + _table(("outcome", "share"), rows)
        + "".join(f"\n\n{_plain(note)}" for note in attack.notes)
    )


def _made(guard: "Guard") -> str:
    facts = guard.facts
    counts = [(f"{name} examples", f"{count:,}") for name, count in facts.counts.items() if count]
    prints = [(f"hash of {name}", value) for name, value in facts.fingerprints.items()]
    names = [] if facts.class_names is None else [("classes", ", ".join(facts.class_names))]
    rows = [
        ("task", facts.task), *names,
        ("features", f"input of {facts.feature_layer}" if facts.feature_layer else "none"),
        ("range of inputs", "read off the data" if facts.domain.inferred else "as stated"),
        *counts, *prints,
        ("seed", str(facts.seed)), ("offmap", facts.version),
    ]  # fmt: skip
    return _table(("what", "value"), rows)


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n{text}"


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *([_plain(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _plain(text: str) -> str:
    """Text that Markdown leaves as it is, in one line of a table."""
    for sign in ("\\", *"`*_<>|", "]("):
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())


def _percent(rate: float) -> str:
    return f"{100 * rate:.4g}%"
