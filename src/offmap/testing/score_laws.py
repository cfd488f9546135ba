"""The laws that every score obeys. Each is a function that says what is wrong, in sentences."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from offmap.attempt import Failure, attempt
from offmap.measure import is_stochastic
from offmap.run import TrainingRun
from offmap.score import FittedScore, Score, Seen
from offmap.testing.exporting import Flat, exported
from offmap.testing.laws import documented

ALIKE = 1e-4  # relative; two ways to compute one float32 score are no farther apart
FEW = 5  # rows that are looked at one by one
BATCHES = (1, 2, FEW)  # rows that an exported score is given, besides all


@dataclass(frozen=True, slots=True, eq=False)
class ScoreTrial:
    """A score that was fitted on a run.

    Args:
        score: Which.
        run: Where.
        fitted: What came of it.
        again: The same from the same seed, but other global random states.
        shuffled: The same from training rows in another order.
        seen: What it may see of train, test and kinds of noise, by name.
        changed: What the fit and the scoring did not leave as they found it.
    """

    score: Score
    run: TrainingRun
    fitted: FittedScore
    again: FittedScore
    shuffled: FittedScore
    seen: Mapping[str, Seen]
    changed: tuple[str, ...]

    @property
    def spread(self) -> float:
        """Standard deviation of the scores of test: what a threshold has to tell apart.

        Not of train, on which a distance from train is zero but for rounding.
        """
        return float(self.fitted(self.seen["test"]).std())


def gives_finite_numbers(trial: ScoreTrial) -> Iterator[str]:
    """One float64 for each row, finite."""
    for name, seen in trial.seen.items():
        values, n = trial.fitted(seen), len(seen.inputs)
        if values.shape != (n,) or values.dtype is not torch.double:
            yield f"{name}: expected float64 [{n}], got {values.dtype} {list(values.shape)}"
        elif not bool(values.isfinite().all()):
            rows = (~values.isfinite()).nonzero().flatten()
            yield f"{name}: expected finite scores, got {values[rows[0]]} at row {int(rows[0])}"


def tells_rows_apart(trial: ScoreTrial) -> Iterator[str]:
    """Not everything is equally strange."""
    values = torch.cat([trial.fitted(seen) for seen in trial.seen.values()])
    if bool((values == values[0]).all()):
        yield f"expected scores that differ, got {values[0].item():g} for each row of each split"


def judges_each_row_alone(trial: ScoreTrial) -> Iterator[str]:
    """The score of a row depends neither on the other rows nor on their number."""
    test = trial.seen["test"]
    whole = trial.fitted(test)
    few, others = rows(test, slice(0, FEW)), trial.seen["far noise"]
    singles = [trial.fitted(rows(test, slice(row, row + 1))) for row in range(FEW)]
    for what, values in (
        ("alone", torch.cat(singles)),
        ("among strangers", trial.fitted(joined(few, others))[:FEW]),
        ("in another order", trial.fitted(rows(test, slice(None), flip=True)).flip(0)),
    ):
        if not (gap := apart(values, whole[: len(values)], trial.spread)) <= ALIKE:
            yield f"expected the same score for a row {what}, got {gap:.1e} of it apart"


def repeats_itself(trial: ScoreTrial) -> Iterator[str]:
    """The same seed gives the same state, to the last bit."""
    for name, value in trial.fitted.state_dict().items():
        if not same(value, trial.again.state_dict()[name]):
            yield (
                f"expected the same {name} from the same seed, got another: take every random "
                "number from `generator`"
            )


def ignores_the_order_of_training(trial: ScoreTrial) -> Iterator[str]:
    """Training rows are a set, but where the fit draws some of them."""
    if is_stochastic(trial.score.fit):
        return
    for name, seen in trial.seen.items():
        gap = apart(trial.shuffled(seen), trial.fitted(seen), trial.spread)
        if not gap <= ALIKE:
            yield f"{name}: expected the same scores from shuffled train, got {gap:.1e} apart"


def is_its_state(trial: ScoreTrial) -> Iterator[str]:
    """Tensors and settings are all that there is to a fitted score: files hold no more."""
    kept = {name: value.clone() for name, value in trial.fitted.state_dict().items()}
    settings = attempt(lambda: json.loads(json.dumps(trial.fitted.settings, allow_nan=False)))
    if isinstance(settings, Failure):
        yield f"expected settings that JSON can hold, got {settings.summary}"
        return
    back = FittedScore(trial.score, kept, settings)
    for name, seen in trial.seen.items():
        if not same(back(seen), trial.fitted(seen)):
            yield f"{name}: expected the same scores from the stored state, got others"
    for name, value in trial.fitted.state_dict().items():
        if value.requires_grad:
            yield f"expected {name} without a gradient, got one that trains"


def exports(trial: ScoreTrial) -> Iterator[str]:
    """`torch.export` reads it, and the program takes batches of any size."""
    flat = Flat([trial.fitted])
    program = attempt(lambda: exported(flat, trial.seen["test"]).module())
    if isinstance(program, Failure):
        yield f"expected torch.export to read it, got\n{program.traceback}"
        return
    for size in (*BATCHES, len(trial.seen["test"].inputs)):
        some = rows(trial.seen["test"], slice(0, size))
        (values,) = program(*flat.given(some))
        if not (gap := apart(values, trial.fitted(some), trial.spread)) <= ALIKE:
            yield f"expected the exported scores of {size} rows, got {gap:.1e} of them apart"


def has_finite_slopes(trial: ScoreTrial) -> Iterator[str]:
    """Where it has a gradient by what it sees, this is finite, at training rows as well."""
    for name in ("train", "test", "far noise"):
        seen = trial.seen[name]
        given = {
            what: getattr(seen, what).detach().clone().requires_grad_()
            for what in trial.score.seen
            if getattr(seen, what).is_floating_point()
        }
        with torch.enable_grad():
            values = trial.fitted(seen._replace(**given))
        if not values.requires_grad:
            continue
        slopes = torch.autograd.grad(values.sum(), list(given.values()), allow_unused=True)
        for what, slope in zip(given, slopes, strict=True):
            if slope is not None and not bool(slope.isfinite().all()):
                row = int((~slope.isfinite()).flatten(1).any(dim=1).nonzero()[0])
                yield f"{name}: expected a finite gradient by {what}, got none at row {row}"


def leaves_no_trace(trial: ScoreTrial) -> Iterator[str]:
    """The network, the data and every global state are as they were."""
    for what in trial.changed:
        yield f"expected {what} to be left alone, got it changed"


SCORE_LAWS: tuple[Callable[[ScoreTrial], Iterator[str]], ...] = (
    gives_finite_numbers,
    tells_rows_apart,
    judges_each_row_alone,
    repeats_itself,
    ignores_the_order_of_training,
    is_its_state,
    exports,
    has_finite_slopes,
    leaves_no_trace,
)


def finds_noise_strange(trials: list[ScoreTrial]) -> Iterator[str]:
    """Some noise, somewhere, is stranger than training data; or the caution says why not."""
    found = []
    for trial in trials:
        usual = float(trial.fitted(trial.seen["train"]).mean())
        for name in ("noise", "far noise"):
            strange = float(trial.fitted(trial.seen[name]).mean())
            if strange > usual:
                return
            found.append(f"{trial.run.name}: {name} {strange:.4g}, train {usual:.4g}")
    if "familiar" not in trials[0].score.caution:
        yield (
            "expected some noise to score above train, or a caution that says where strangers look "
            "familiar, got means of " + "; ".join(found)
        )


def explains_itself(score: Score) -> Iterator[str]:
    """The card is complete."""
    if score.function.__module__.rpartition(".")[2] != score.name:
        yield f"expected it in a file called {score.name}.py, or nobody finds it"
    for name in ("says", "caution", "summary"):
        if not getattr(score, name).strip():
            yield f"expected {name!r} to say something, got nothing"
    if not re.match(r"https://\S+\.\S+$", score.paper.url) or not score.paper.citation.strip():
        yield f"expected a citation and an https address, got {score.paper}"
    if not score.seen:
        yield "expected it to read inputs, logits or features before the /, got nothing"
    for name in set(score.settings) - documented(score.function) - documented(score.fit):
        yield f"expected setting {name!r} under Args in a docstring"


# ---------------------------------------------------------------------------------- comparisons


def rows(seen: Seen, which: slice, *, flip: bool = False) -> Seen:
    """Some rows of what is seen, the last first if they are flipped."""
    return _each(lambda values: values[which].flip(0) if flip else values[which], seen)


def joined(one: Seen, other: Seen) -> Seen:
    """The rows of both."""
    return _each(lambda *parts: torch.cat(parts), one, other)


def _each(change: Callable[..., Tensor], *seen: Seen) -> Seen:
    parts = {name: [getattr(each, name) for each in seen] for name in Seen._fields}
    return Seen(**{name: change(*those) for name, those in parts.items() if those[0] is not None})


def apart(values: Tensor, others: Tensor, spread: float) -> float:
    """The largest difference, relative to the score and to how it varies over test."""
    gap = ((values - others).abs() / (others.abs() + spread)).where(values != others, 0.0)
    return float(gap.max())


def same(value: Tensor, other: Tensor) -> bool:
    """Whether they are one tensor, to the last bit."""
    return bits(value) == bits(other) and value.dtype == other.dtype and value.shape == other.shape


def bits(values: Tensor | None) -> bytes:
    """What the tensor holds, to the last bit."""
    if values is None:
        return b""
    return values.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
