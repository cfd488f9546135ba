"""Fit a guard: learn the score from training data, and its thresholds from calibration data."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version
from itertools import pairwise
from math import ceil
from typing import Any, NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor, nn

from offmap.attempt import InputError
from offmap.catalog import named
from offmap.catalog import scores as all_scores
from offmap.guard.atlas import atlas as make_atlas
from offmap.guard.calibrate import calibrated, check_counts, predicted, promise, selective
from offmap.guard.choice import Choice
from offmap.guard.choose import SHARE
from offmap.guard.ensemble import LEAST, ensemble
from offmap.guard.facts import Facts
from offmap.guard.guard import Guard
from offmap.guard.progress import Agenda, Watch
from offmap.guard.ruler import Ruler
from offmap.guard.seeing import Sight, known, scores_of
from offmap.inputs import head_name
from offmap.numerics.duplicates import also_among, row_digests
from offmap.passes import device_of
from offmap.run import DEFAULT_MEMORY, Domain, Split, Task, TrainingRun
from offmap.score import FittedScore, Known
from offmap.seeds import derive
from offmap.survey import Survey, examine, fingerprint_weights

RIVAL = "neighbor_disagreement"  # the score of the reason `disputed`
REFERENCE = 0.2  # of the calibration data, which make the scores of an ensemble comparable
SELECTION = 0.5  # of the calibration data, which bound the error of accepted answers


class Terms(NamedTuple):
    """What a guard is asked to keep: see `fit_guard`."""

    alpha: float
    per_class: bool
    confidence: float | None
    risk: float | None
    disputed: float | None


class Uses(NamedTuple):
    """The calibration data by what each part is for: no row serves twice."""

    calibration: Split
    reference: Split | None
    selection: Split | None


def fit_guard(
    model: nn.Module,
    train: Split,
    calibration: Split,
    *,
    score: str | Sequence[str] | Choice = "feature_neighbors",
    alpha: float = 0.05,
    per_class: bool = False,
    confidence: float | None = None,
    risk: float | None = None,
    disputed: float | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    domain: Domain | None = None,
    feature_layer: str | None = None,
    class_names: Sequence[str] | None = None,
    task: Task | None = None,
    name: str = "model",
    neighbors: int = 5,
    atlas: int = 10_000,
    pictures: bool = True,
    seed: int = 0,
    memory: int = DEFAULT_MEMORY,
    watch: Watch | None = None,
) -> Guard:
    """A guard around a copy of the model.

    Args:
        model: The trained network; classification or regression.
        train: What it was trained on: the score learns from it.
        calibration: Fresh data from the same source: thresholds come from it.
        score: A score by name; several, which make an ensemble; or what `choose` found with the
            same calibration data: the rows that it saw do not calibrate.
        alpha: The rate at which familiar inputs may be refused as off the map.
        per_class: Keep that rate for each predicted class.
        confidence: Keep it for *this* calibration set with that certainty (0.95, say), not only on
            average over calibration sets.
        risk: Hold the error of accepted answers below this, with 95 % certainty.
        disputed: Refuse what the nearest training examples dispute, at this false-alarm rate.
        settings: Settings by score.
        domain: The contract of an input; read off the data where None.
        feature_layer: The layer whose input is the feature vector; the last linear one where None.
        class_names: How people call the classes; as the data's source calls them where None.
        task: Inferred from the targets where None.
        name: How the model is called.
        neighbors: How many training examples an answer names.
        atlas: Among how many training examples it looks for these.
        pictures: Whether the guard may hold what training images look like.
        seed: Root of every random number.
        memory: Bytes that fitting may take.
        watch: Told how far the work has come.

    Raises:
        InputError: If model, data or settings cannot be used; it says what was expected.
    """
    terms, names = Terms(alpha, per_class, confidence, risk, disputed), _names(score)
    _check_rates(terms)
    agenda = Agenda(watch)
    rivals = [] if disputed is None else [RIVAL]
    agenda.expect(Counter(["data", "features", *names, *rivals, "thresholds", "examples"]))
    with agenda.step("data"):
        run, seen = examine(
            TrainingRun(
                model, train, shifts={"calibration": calibration}, domain=domain, task=task,
                feature_layer=feature_layer, class_names=class_names, name=name,
            ).with_memory(memory)
        )  # fmt: skip
        assert run.train is not None and run.domain is not None and run.task is not None
        sight = Sight(model, head_name(run), classifies=_classifies(run, terms))
        _check_fresh(run.train, run.shifts["calibration"], score, seen["calibration"].fingerprint)
    uses = _uses(run.shifts["calibration"], score, risk is not None, seed)
    classes = _enough(sight, uses.calibration, terms)
    with agenda.step("features"):
        learned = known(sight, run.train, memory, tokens=run.domain.kind == "tokens")
    fit = partial(_members, known=learned, settings=settings or {}, seed=seed, agenda=agenda)
    members, others = fit(names), fit(rivals)
    with agenda.step("thresholds"):
        joined = _joined(members, sight, uses.reference)
        ruler, dispute = _rulers(joined, others.get(RIVAL), sight, uses, terms, classes)
    with agenda.step("examples"):
        chart = make_atlas(learned, run.train, run.domain, most=atlas, pictures=pictures, seed=seed)
    facts = Facts(
        name=name, task=run.task, domain=run.domain,
        class_names=None if run.class_names is None else tuple(run.class_names),
        feature_layer=sight.layer,
        scores={one: dict(member.settings) for one, member in members.items()},
        **terms._asdict(), promise=promise(len(uses.calibration), alpha, confidence, classes),
        accepted_risk=None, accepted_share=None, neighbors=neighbors,
        counts=_counts(run.train, uses, len(chart)),
        fingerprints=_fingerprints(model, seen), seed=seed, version=version("offmap"),
    )  # fmt: skip
    guard = Guard(sight, ruler, facts, chart, dispute=dispute).to(device_of(model))
    return guard if uses.selection is None else selective(guard, uses.selection)


def _check_rates(terms: Terms) -> None:
    """Refuse what is no probability.

    Raises:
        InputError: If one of the rates lies outside (0, 1).
    """
    for what in ("alpha", "confidence", "risk", "disputed"):
        rate = getattr(terms, what)
        if rate is not None and not 0 < rate < 1:
            raise InputError(f"expected {what} between 0 and 1, got {rate:g}: 0.05 is usual")


def _classifies(run: TrainingRun, terms: Terms) -> bool:
    """Whether the model classifies; what only makes sense for classes is refused elsewhere.

    Raises:
        InputError: If the task is none that a guard knows, or asks for what it does not have.
    """
    if run.task not in ("classification", "regression"):
        raise InputError(f"expected a classifier or a regression to guard, got {run.task}")
    for what in ("risk", "disputed", "per_class"):
        asked = getattr(terms, what) not in (None, False)
        if asked and run.task != "classification":
            raise InputError(f"expected no {what} with {run.task}: it is about classes")
    if terms.risk is not None and run.shifts["calibration"].known_targets is None:
        raise InputError("calibration: expected targets, which risk needs, got none")
    return run.task == "classification"


def _check_fresh(
    train: Split, calibration: Split, score: str | Sequence[str] | Choice, fingerprint: str
) -> None:
    """Refuse calibration data that training has seen: the guard would raise false alarms.

    Raises:
        InputError: If a row of one stands in the other, or a score was chosen with other data.
    """
    if isinstance(score, Choice) and score.calibration != fingerprint:
        raise InputError(
            "calibration: expected the data with which the score was chosen, got others: choose "
            "again, or give those"
        )
    dtype = train.table.dtype
    digests = row_digests(calibration.table.chunks(), dtype)
    both = also_among(digests, train.table.chunks(), dtype).nonzero().flatten()
    if len(both):
        raise InputError(
            f"calibration: expected examples that training has not seen, got {len(both):,} of "
            f"{len(calibration):,} that stand in train as well, the first at row {int(both[0])}: "
            "calibrate on other data, or take these rows out"
        )


def _enough(sight: Sight, calibration: Split, terms: Terms) -> Int[Tensor, " n"] | None:
    """The predicted classes of calibration data, where the rate is to hold for each of them.

    Raises:
        InputError: If there are too few examples for what is asked.
    """
    rate = min(terms.alpha, terms.disputed or 1.0)
    check_counts(len(calibration), rate, confidence=terms.confidence)
    if not terms.per_class:
        return None
    classes, count = predicted(sight, calibration)
    check_counts(
        len(classes), terms.alpha, confidence=terms.confidence, classes=classes, class_count=count
    )
    return classes


def _names(score: str | Sequence[str] | Choice) -> list[str]:
    """The scores that are asked for, each once.

    Raises:
        InputError: If there are none.
    """
    asked = (
        score.best if isinstance(score, Choice) else [score] if isinstance(score, str) else score
    )
    if not asked:
        raise InputError("expected at least one score, got none")
    return list(dict.fromkeys(asked))


def _uses(
    calibration: Split, score: str | Sequence[str] | Choice, selects: bool, seed: int
) -> Uses:
    """Which calibration row serves what. Chance decides, so that every part looks alike.

    Raises:
        InputError: If there are too few to make the scores of an ensemble comparable.
    """
    chosen = isinstance(score, Choice)
    share = SHARE if chosen else REFERENCE if len(_names(score)) > 1 else 0.0
    seed = score.seed if chosen else seed
    order = torch.randperm(len(calibration), generator=derive(seed, "uses"))
    reference = round(share * len(order))
    if len(_names(score)) > 1 and reference < LEAST:
        raise InputError(
            f"calibration: expected at least {ceil(LEAST / share):,} examples for several scores, "
            f"got {len(order):,}: {100 * share:g} % of them make the scores comparable; give more, "
            "or take one score"
        )
    selection = round(SELECTION * (len(order) - reference)) if selects else 0
    ends = [0, reference, reference + selection, len(order)]
    parts = [calibration.take(order[a:b].sort().values) for a, b in pairwise(ends)]
    return Uses(parts[2], parts[0] if reference else None, parts[1] if selects else None)


def _members(
    names: Sequence[str],
    known: Known,
    settings: Mapping[str, Mapping[str, Any]],
    seed: int,
    agenda: Agenda,
) -> dict[str, FittedScore]:
    """The scores by name, fitted.

    Raises:
        InputError: If one is unknown, or cannot be fitted here.
    """
    units = {name: named(name, all_scores(), "score") for name in names}
    fitted = {}
    for name, unit in units.items():
        given = settings.get(name, {})
        try:
            with agenda.step(name):
                fitted[name] = unit.fitted(known, generator=derive(seed, "score", name), **given)
        except ValueError as error:  # a score refuses in one sentence
            raise InputError(str(error)) from error
    return fitted


def _joined(members: Mapping[str, FittedScore], sight: Sight, reference: Split | None) -> nn.Module:
    """The one score, or an ensemble of several."""
    if len(members) == 1 or reference is None:
        return next(iter(members.values()))
    return ensemble(
        list(members.values()),
        [scores_of(member, sight, reference) for member in members.values()],
    )


def _rulers(
    score: nn.Module,
    rival: nn.Module | None,
    sight: Sight,
    uses: Uses,
    terms: Terms,
    classes: Int[Tensor, " n"] | None,
) -> tuple[Ruler, Ruler | None]:
    """The thresholds of the score, and those of the one that says what is disputed."""
    limits = partial(calibrated, sight=sight, calibration=uses.calibration,
                     confidence=terms.confidence)  # fmt: skip
    own = limits(score, rate=terms.alpha, classes=classes)
    if rival is None or terms.disputed is None:
        return own, None
    return own, limits(rival, rate=terms.disputed)


def _counts(train: Split, uses: Uses, atlas: int) -> dict[str, int]:
    parts = {"calibration": uses.calibration, "reference": uses.reference,
             "selection": uses.selection}  # fmt: skip
    return {
        "train": len(train),
        **{name: 0 if part is None else len(part) for name, part in parts.items()},
        "atlas": atlas,
    }


def _fingerprints(model: nn.Module, seen: Mapping[str, Survey]) -> dict[str, str]:
    return {
        "weights": fingerprint_weights(model.state_dict()),
        **{name: found.fingerprint for name, found in seen.items()},
    }
