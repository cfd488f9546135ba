import math

import pytest
import torch
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm

from offmap.attempt import CannotMeasure
from offmap.inputs import ClassPredictions
from offmap.measures.weak_generalization.calibration_error import calibration_error

SPREAD = 1.5


def _tempered(n: int, sharpness: float, generator: torch.Generator) -> ClassPredictions:
    """Two classes with log-odds z ~ N(0, 1.5^2); the model says sharpness * z."""
    z = SPREAD * torch.randn(n, generator=generator, dtype=torch.double)
    targets = (torch.rand(n, generator=generator, dtype=torch.double) < z.sigmoid()).long()
    return ClassPredictions(torch.stack((torch.zeros(n), sharpness * z), dim=1), targets)


def _truth(sharpness: float) -> float:
    def squared(z: float) -> float:
        return (expit(sharpness * z) - expit(z)) ** 2 * 2 * norm.pdf(z, scale=SPREAD)

    return math.sqrt(quad(squared, 0, 15 * SPREAD)[0])


def _constant(n: int, hits: int, confidence: float) -> ClassPredictions:
    logits = torch.tensor([math.log(confidence / (1 - confidence)), 0.0]).expand(n, 2)
    return ClassPredictions(logits.double(), (torch.arange(n) >= hits).long())


@pytest.mark.parametrize("sharpness", [1.5, 3.0])
def test_interval_covers_the_integral_and_the_value_is_near_it(sharpness):
    generator = torch.Generator().manual_seed(1)
    truth, values, covered = _truth(sharpness), [], 0
    for _ in range(200):
        predictions = _tempered(2000, sharpness, generator)
        reading = calibration_error(predictions, generator=generator, draws=100)
        values.append(reading.value)
        covered += reading.low <= truth <= reading.high
    assert 0.90 <= covered / 200 <= 0.99
    squared = torch.tensor(values).square()
    error = (squared.std() / math.sqrt(200)).item()
    assert squared.mean().item() == pytest.approx(truth**2, abs=4 * error + 0.02 * truth**2)


def test_a_calibrated_model_lies_within_its_null():
    """Where the plain error does not: its expectation is about 0.03 on 1000 examples."""
    generator = torch.Generator().manual_seed(1)
    inside, plain = 0, 0
    for _ in range(200):
        reading = calibration_error(_tempered(1000, 1.0, generator), generator=generator, draws=60)
        assert reading.null is not None
        inside += reading.value <= reading.null.high
        assert reading.low == 0
        chance = reading.parts["plain error of a calibrated network"]
        plain += (
            chance.low <= reading.parts["plain error (ECE), biased upward"].value <= chance.high
        )
    assert 0.90 <= inside / 200 <= 0.995
    assert 0.90 <= plain / 200 <= 0.995


def test_matches_the_formula_bin_by_bin(generator):
    predictions = _tempered(600, 2.0, generator)
    confidence, order = predictions.probs.amax(1).sort()
    hit = predictions.correct[order].double()
    squared, plain = 0.0, 0.0
    for rows in torch.arange(600).chunk(15):  # 40 examples each
        c, h = confidence[rows].tolist(), hit[rows].tolist()
        gaps = [a - b for a, b in zip(c, h, strict=True)]
        average = sum(gaps) / 40
        variance = sum((g - average) ** 2 for g in gaps) / 39
        squared += (average**2 - variance / 40) / 15
        plain += abs(average) / 15
    reading = calibration_error(predictions, generator=generator)
    assert reading.value == pytest.approx(math.sqrt(squared), rel=1e-10)
    assert reading.parts["plain error (ECE), biased upward"].value == pytest.approx(plain)
    gap = reading.parts["mean confidence minus accuracy"].value
    assert gap == pytest.approx((confidence.mean() - hit.mean()).item())
    loss = torch.nn.functional.cross_entropy(predictions.logits, predictions.targets).item()
    assert reading.parts["negative log-likelihood in nats"].value == pytest.approx(loss)


def test_equal_confidences_share_one_bin(generator):
    """Confidence 0.8 everywhere, 180 hits of 300, in order of the rows: 0.2^2 - variance / n."""
    predictions = _constant(300, 180, 0.8)
    reading = calibration_error(predictions, generator=generator)
    assert reading.value == pytest.approx(math.sqrt(0.04 - 0.6 * 0.4 / 299), rel=1e-6)
    (curve,) = reading.figures
    assert curve.x.tolist() == pytest.approx([0.8])
    assert curve.series["network"].tolist() == pytest.approx([0.6])


def test_a_few_odd_confidences_join_their_neighbors(generator):
    """Three values: 5, 290 and 5 examples. No bin of five, and none lost."""
    one = _constant(300, 180, 0.8)
    logits = one.logits.clone()
    logits[:5, 0], logits[-5:, 0] = 0.1, 5.0
    reading = calibration_error(ClassPredictions(logits, one.targets), generator=generator)
    (curve,) = reading.figures
    assert len(curve.x) == 1
    assert curve.series["network"].tolist() == pytest.approx([0.6])


def test_orders_calibrated_mild_and_gross(generator):
    calibrated, mild, gross = (
        calibration_error(_tempered(4000, sharpness, generator), generator=generator)
        for sharpness in (1.0, 1.6, 5.0)
    )
    assert calibrated.high < mild.low < mild.high < gross.low
    assert calibrated.null is not None
    assert mild.null is not None
    assert calibrated.value <= calibrated.null.high
    assert mild.low > mild.null.high
    assert calibrated.notes == ()


def test_says_which_way_it_errs(generator):
    sharp, flat = (
        calibration_error(_tempered(3000, sharpness, generator), generator=generator)
        for sharpness in (3.0, 0.3)
    )
    assert "overconfident" in sharp.notes[0]
    assert "underconfident" in flat.notes[0]
    assert sharp.parts["mean confidence minus accuracy"].low > 0
    assert flat.parts["mean confidence minus accuracy"].high < 0


def test_examples_classes_and_the_level_of_logits_do_not_matter(generator):
    predictions = _tempered(500, 2.0, generator)
    order = torch.randperm(500, generator=generator)
    others = [
        ClassPredictions(predictions.logits[order], predictions.targets[order]),
        ClassPredictions(predictions.logits.flip(1), 1 - predictions.targets),
        ClassPredictions(predictions.logits + 7, predictions.targets),
    ]
    expected = calibration_error(predictions, generator=torch.Generator().manual_seed(3))
    for other in others:
        found = calibration_error(other, generator=torch.Generator().manual_seed(3))
        assert (found.low, found.value, found.high) == pytest.approx(
            (expected.low, expected.value, expected.high), rel=1e-9
        )


def test_every_example_carries_its_own_gap(generator):
    reading = calibration_error(_constant(100, 70, 0.9), generator=generator)
    assert reading.per_example is not None
    assert reading.per_example.tolist() == pytest.approx([-0.1] * 70 + [0.9] * 30)


def test_reliability_curve_has_exact_bands(generator):
    predictions = _tempered(600, 2.0, generator)
    (curve,) = calibration_error(predictions, bins=10, generator=generator).figures
    assert len(curve.x) == 10
    assert bool((curve.x.diff() > 0).all())
    assert bool((curve.low["network"] <= curve.series["network"]).all())
    assert bool((curve.series["network"] <= curve.high["network"]).all())
    assert curve.series["network"].mean().item() == pytest.approx(
        predictions.correct.double().mean().item()
    )


def test_refuses(generator):
    few = _tempered(39, 1.0, generator)
    with pytest.raises(CannotMeasure, match="at least 40 examples, got 39"):
        calibration_error(few, generator=generator)
    enough = _tempered(40, 1.0, generator)
    assert calibration_error(enough, generator=generator).value >= 0
    for settings in ({"bins": 0}, {"draws": 19}):
        with pytest.raises(ValueError, match="expected bins >= 1 and draws >= 20"):
            calibration_error(enough, generator=generator, **settings)
