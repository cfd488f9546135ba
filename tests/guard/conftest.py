"""Guards that several tests look at; each is fitted once. Nobody changes them: copy first."""

import pytest
import torch

from offmap.demo import digits
from offmap.guard.fit import fit_guard
from offmap.guard.guard import Guard
from offmap.run import Split, TrainingRun


@pytest.fixture(scope="session")
def digits_run() -> TrainingRun:
    """Handwritten digits and a small convolutional network."""
    return digits(epochs=5)


@pytest.fixture(scope="session")
def calibration_digits(digits_run: TrainingRun) -> Split:
    """Digits that neither training nor the tests of a fitted guard see."""
    assert digits_run.test is not None
    return digits_run.test.take(torch.arange(400))


@pytest.fixture(scope="session")
def fresh_digits(digits_run: TrainingRun) -> Split:
    """Digits that nobody has seen."""
    assert digits_run.test is not None
    return digits_run.test.take(torch.arange(400, 597))


@pytest.fixture(scope="session")
def digits_guard(digits_run: TrainingRun, calibration_digits: Split) -> Guard:
    """A guard that asks everything: an ensemble, the risk, the neighbors."""
    assert digits_run.train is not None
    guard = fit_guard(
        digits_run.model, digits_run.train, calibration_digits,
        score=("energy", "feature_neighbors"), risk=0.1, disputed=0.05, alpha=0.1,
        domain=digits_run.domain, class_names=digits_run.class_names, name="digits",
    )  # fmt: skip
    guard.sure = -0.05  # this network errs too seldom for the risk to need a threshold
    return guard
