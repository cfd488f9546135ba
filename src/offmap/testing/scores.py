"""The contract that every score keeps, for scores of your own.

    from offmap.testing import check_onnx, check_score

    def test_my_score():
        check_score(my_score)
        check_onnx([my_score])

It fits the score on small networks of several kinds (`score_worlds`), or hears why that cannot be,
and raises an `AssertionError` that lists what is wrong.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from offmap.attempt import Failure, attempt
from offmap.guard.seeing import Sight, known
from offmap.inputs import Features, head_name
from offmap.measure import is_stochastic, keyword_defaults
from offmap.run import TrainingRun
from offmap.score import FittedScore, Known, Score, Seen
from offmap.table import TensorTable
from offmap.testing import tiny
from offmap.testing.exporting import Flat, under_onnx
from offmap.testing.score_laws import (
    ALIKE,
    SCORE_LAWS,
    ScoreTrial,
    apart,
    bits,
    explains_itself,
    finds_noise_strange,
    rows,
)
from offmap.testing.watching import global_randomness, state

SEED = 0
MEMORY = 2**28  # bytes that a fit may take
FAR = 30.0  # standard deviations of the training data, from which noise is far away


def score_worlds() -> Mapping[str, TrainingRun]:
    """Runs on which scores are tried: two classifiers, a regression, a model without modules."""
    made = (tiny.classification(), tiny.vectors(), tiny.regression(), tiny.exported())
    return {run.name: run for run in made}


def check_score(score: Score, runs: Mapping[str, TrainingRun] | None = None) -> None:
    """Put a score through every law but that of ONNX, for which see `check_onnx`.

    Args:
        score: Installed or not.
        runs: What to fit it on, by name; `score_worlds()` where None.

    Raises:
        AssertionError: If it breaks a law, or can be fitted on none of the runs.
    """
    runs = score_worlds() if runs is None else runs
    trials, reasons, complaints = [], [], list(explains_itself(score))
    for run in runs.values():
        found = attempt(lambda run=run: try_score(score, run))
        if isinstance(found, ScoreTrial):
            trials.append(found)
            complaints += [f"{run.name}: {said}" for said in broken(found)]
        elif isinstance(found, Failure):
            complaints.append(f"{run.name}: expected a fit or a reason, got\n{found.traceback}")
        else:
            reasons.append(f"{run.name}: {found}")
    if len(reasons) == len(runs):
        complaints += ["expected a fit on at least one run, got only reasons", *reasons]
    if trials and not complaints:
        complaints += finds_noise_strange(trials)
    if complaints:
        raise AssertionError("\n- ".join([f"{score.name}:", *complaints]))


def check_onnx(scores: Sequence[Score], run: TrainingRun | None = None) -> None:
    """Compute scores under onnxruntime, those that can be fitted on a run; in one program.

    Args:
        scores: Installed or not.
        run: What to fit them on; a small classifier where None.

    Raises:
        AssertionError: If one cannot be written as ONNX, or comes out otherwise.
    """
    where = tiny.classification() if run is None else run
    found = [try_score(score, where) for score in scores]
    trials = [trial for trial in found if isinstance(trial, ScoreTrial)]
    if not trials:
        raise AssertionError(f"ONNX: expected a score that can be fitted on {where.name}, got none")
    said = attempt(lambda: _differences(trials))
    if isinstance(said, Failure):  # of all together: which of them is it?
        alone = [(trial, attempt(lambda trial=trial: _differences([trial]))) for trial in trials]
        said = [
            complaint
            for trial, what in alone
            for complaint in (
                [f"{trial.score.name}: {what.summary}"] if isinstance(what, Failure) else what
            )
        ] or [said.traceback]
    if said:
        raise AssertionError("\n- ".join([f"ONNX on {where.name}:", *said]))


def _differences(trials: list[ScoreTrial]) -> list[str]:
    module = Flat([trial.fitted for trial in trials])
    seen = trials[0].seen
    parts = {name: seen[name] for name in seen} | {"one row": rows(seen["test"], slice(0, 1))}
    complaints = []
    for name, answers in zip(
        parts, under_onnx(module, seen["test"], [*parts.values()]), strict=True
    ):
        for trial, values in zip(trials, answers, strict=True):
            gap = apart(values, trial.fitted(parts[name]), trial.spread)
            if not gap <= ALIKE:
                complaints.append(
                    f"{trial.score.name}: expected the same scores of {name} from onnxruntime, "
                    f"got {gap:.1e} of them apart"
                )
    return complaints


def broken(trial: ScoreTrial) -> list[str]:
    """What the laws say against a score on one run; an error is a complaint, too."""
    complaints = []
    for law in SCORE_LAWS:
        said = attempt(lambda law=law: list(law(trial)))
        if isinstance(said, Failure):
            said = [f"{law.__name__}: expected it to be computed, got\n{said.traceback}"]
        complaints += said
    return complaints


def try_score(score: Score, run: TrainingRun) -> ScoreTrial | str:
    """Fit a score three times on a copy of a run's model, watching what it does.

    Where it refuses to be fitted: the reason.
    """
    assert run.train is not None
    sight = Sight(run.model, head_name(run), classifies=run.task == "classification")
    facts = known(sight, run.train, MEMORY)
    if (reason := score.missing(facts)) is not None:
        return reason
    with torch.no_grad():
        seen = {name: sight(inputs) for name, inputs in _inputs(run).items()}
    with global_randomness(1):
        before = _watched(run, sight, facts, seen)
        found = attempt(lambda: _fit(score, facts))
        if isinstance(found, Failure):
            if isinstance(found.error, ValueError) and str(found.error).strip():
                return str(found.error)
            raise found.error
        fitted = FittedScore(score, found, score.settings)
        answers = attempt(lambda: [fitted(each) for each in seen.values()])
        after = _watched(run, sight, facts, seen)
    if isinstance(answers, Failure):
        raise answers.error
    with global_randomness(2):
        again, shuffled = (
            score.fitted(each, generator=torch.Generator().manual_seed(SEED))
            for each in (facts, _shuffled(facts))
        )
    changed = tuple(what for what, value in before.items() if after[what] != value)
    return ScoreTrial(score, run, fitted, again, shuffled, seen, changed)


def _fit(score: Score, facts: Known) -> dict[str, Tensor]:
    """What the fit gives, before anything looks at it."""
    given = keyword_defaults(score.fit)
    if is_stochastic(score.fit):
        given["generator"] = torch.Generator().manual_seed(SEED)
    return score.fit(facts, **given)


def _inputs(run: TrainingRun) -> dict[str, Tensor]:
    """Train, test, and noise: as large as the data, and far away."""
    assert run.train is not None and run.test is not None
    train = run.train.inputs
    generator = torch.Generator().manual_seed(SEED)
    noise = torch.randn(len(train), *train.shape[1:], generator=generator)
    center, width = train.mean(), train.std()
    return {
        "train": train,
        "test": run.test.inputs,
        "noise": center + width * noise,
        "far noise": center + FAR * width * noise,
    }


def _shuffled(facts: Known) -> Known:
    order = torch.randperm(len(facts.inputs), generator=torch.Generator().manual_seed(SEED))
    features = facts.features
    return replace(
        facts,
        inputs=TensorTable(facts.inputs.take(order)),
        targets=None if facts.targets is None else facts.targets[order],
        logits=None if facts.logits is None else facts.logits[order],
        features=None
        if features is None
        else Features(TensorTable(features.take(order)), features.layer, features.memory),
    )


def _watched(
    run: TrainingRun, sight: Sight, facts: Known, seen: Mapping[str, Seen]
) -> dict[str, object]:
    """Everything that a score must leave as it found it, by what to call it."""
    found = state(replace(run, model=sight))
    tensors = {"the training logits": facts.logits, "the training targets": facts.targets}
    tensors["the training features"] = None if facts.features is None else facts.features.values
    for name, each in seen.items():
        tensors |= {f"the {what} of {name}": values for what, values in each._asdict().items()}
    return found | {name: bits(values) for name, values in tensors.items()}
