"""What a guard says of one input, in words."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Shaped
from torch import Tensor

from offmap.attempt import InputError
from offmap.guard.atlas import Near
from offmap.guard.facts import REASONS, Facts
from offmap.guard.verdict import Verdict, within
from offmap.passes import BATCH, device_of, evaluating

if TYPE_CHECKING:
    from offmap.guard.guard import Guard

Prediction = int | tuple[float, ...] | None


@dataclass(frozen=True, slots=True)
class Neighbor:
    """A training example near to an input.

    Args:
        row: Where it stands in the training split.
        place: Where it stands in the guard's atlas.
        distance: In feature space, or input space where the network shows no features.
        target: Its class; None where there are none.
        label: How people call that class.
    """

    row: int
    place: int
    distance: float
    target: int | None
    label: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """A prediction, or a refusal with its reason.

    Args:
        prediction: The class; the outputs in regression; None where the contract is broken.
        label: How people call the class.
        accepted: Whether the guard stands by the prediction.
        p_value: Share of familiar inputs that look at least as strange; None with the contract
            broken.
        reason: One of `REASONS`.
        detail: The reason in a sentence.
        neighbors: The training examples nearest to the input, nearest first.
        score: How strange it looks; None with the contract broken.
        model_version: The beginning of the hash of the network's weights.
    """

    prediction: Prediction
    label: str | None
    accepted: bool
    p_value: float | None
    reason: str
    detail: str
    neighbors: tuple[Neighbor, ...]
    score: float | None
    model_version: str


def answers(guard: "Guard", inputs: Tensor | Sequence[Tensor]) -> list[Answer]:
    """An answer for each input, in order. An input of another shape or type spoils only itself.

    Args:
        guard: Whose answers.
        inputs: [n, *shape], or one tensor for each input.

    Raises:
        InputError: If there are none.
    """
    if not len(inputs):
        raise InputError("expected at least one input, got a batch of none")
    said: dict[int, Answer] = {}
    fit: list[int] = []
    for place, one in enumerate(inputs):
        misfit = _misfit(one, guard.facts)
        if misfit is None:
            fit.append(place)
        else:
            said[place] = _refused(guard.facts, misfit)
    for start in range(0, len(fit), BATCH):
        places = fit[start : start + BATCH]
        batch = torch.stack([inputs[place] for place in places])
        said.update(zip(places, _batch(guard, batch), strict=True))
    return [said[place] for place in range(len(inputs))]


def drifted(answer: Answer, detail: str) -> Answer:
    """The same answer, refused because traffic as a whole has left the map."""
    if not answer.accepted:
        return answer
    return replace(answer, accepted=False, reason="drift", detail=detail)


def _misfit(one: Tensor, facts: Facts) -> str | None:
    domain = facts.domain
    if tuple(one.shape) != domain.shape:
        return f"expected shape {domain.shape}, got {tuple(one.shape)}"
    if one.dtype != domain.dtype:
        return f"expected {domain.dtype}, got {one.dtype}"
    return None


def _refused(facts: Facts, detail: str) -> Answer:
    return Answer(None, None, False, None, "contract", detail, (), None, facts.model_version)


def _batch(guard: "Guard", inputs: Shaped[Tensor, "n ..."]) -> Iterator[Answer]:
    with evaluating(guard):
        found, seen = guard.judge(inputs.to(device_of(guard)))
        verdict = Verdict(*(part.cpu() for part in found))
        near = Near(*(part.cpu() for part in guard.atlas(seen, guard.facts.neighbors)))
    for place in range(len(inputs)):
        reason = REASONS[verdict.reason[place]]
        if reason == "contract":
            yield _refused(guard.facts, _broken(inputs[place], guard.facts))
            continue
        answer = _plain(guard, verdict, near, place)
        yield replace(answer, detail=_detail(answer, guard))


def _plain(guard: "Guard", verdict: Verdict, near: Near, place: int) -> Answer:
    """Row `place` of a batch, still without words."""
    names = guard.facts.class_names
    given = verdict.prediction[place]
    classes = guard.sight.classifies
    prediction = int(given) if classes else tuple(given.reshape(-1).double().tolist())
    return Answer(
        prediction=prediction,
        label=_label(int(given), names) if classes else None,
        accepted=bool(verdict.accepted[place]),
        p_value=float(verdict.p_value[place]),
        reason=REASONS[verdict.reason[place]],
        detail="",
        neighbors=tuple(
            Neighbor(row, spot, distance, target, None if target is None else _label(target, names))
            for row, spot, distance, target in _neighbors(guard, near, place)
        ),
        score=float(verdict.score[place]),
        model_version=guard.facts.model_version,
    )


def _neighbors(
    guard: "Guard", near: Near, place: int
) -> Iterator[tuple[int, int, float, int | None]]:
    targets = guard.atlas.targets
    for row, spot, distance in zip(
        near.row[place].tolist(), near.place[place].tolist(), near.distance[place].tolist(),
        strict=True,
    ):  # fmt: skip
        yield row, spot, distance, int(targets[spot]) if len(targets) else None


def _label(number: int, names: Sequence[str] | None) -> str:
    return str(number) if names is None or number >= len(names) else names[number]


def _broken(one: Tensor, facts: Facts) -> str:
    """Which element breaks the contract, and how."""
    where = (~within(one[None], facts)[0]).nonzero()
    first = tuple(where[0].tolist())
    value = one[first].item()
    domain = facts.domain
    low = "-infinity" if domain.low is None else f"{domain.low:g}"
    high = "infinity" if domain.high is None else f"{domain.high:g}"
    more = f", and {len(where) - 1} more" if len(where) > 1 else ""
    element = "element " + (f"{list(first)}" if first else "0")
    return f"{element} is {value:g}{more}: expected finite numbers from {low} to {high}"


def _detail(answer: Answer, guard: "Guard") -> str:
    facts = guard.facts
    assert answer.p_value is not None
    strange = f"p = {answer.p_value:.2g}"
    match answer.reason:
        case "off_map":
            return (
                f"stranger than {100 * (1 - answer.p_value):.1f} % of familiar inputs by "
                f"{' + '.join(facts.scores)} ({strange}, refused up to {facts.alpha:g}); "
                f"{_nearest(answer)}"
            )
        case "uncertain":
            assert facts.risk is not None
            assert guard.sure is not None
            return (
                f"less sure of {answer.label} than the {_share(guard.sure)} from which on answers "
                f"err in at most {100 * facts.risk:g} % of cases"
            )
        case "disputed":
            labels = ", ".join(str(one.label) for one in answer.neighbors)
            return f"the network says {answer.label}, its nearest training examples say {labels}"
    return f"looks like training data ({strange}); {_nearest(answer)}"


def _share(log_probability: float) -> str:
    return f"probability {torch.tensor(log_probability).double().exp().item():.4g}"


def _nearest(answer: Answer) -> str:
    if not answer.neighbors:
        return "no training example to compare with"
    first = answer.neighbors[0]
    label = "" if first.label is None else f" ({first.label})"
    return f"nearest training example: row {first.row}{label}, distance {first.distance:.3g}"
