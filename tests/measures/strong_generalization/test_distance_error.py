import math

import pytest
import torch
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from offmap.attempt import CannotMeasure
from offmap.inputs import ClassPredictions, TrainNeighbors
from offmap.measures.strong_generalization.distance_error import distance_error

FEATURE, INPUT = "feature distance, pooled", "input distance, pooled"


def _predictions(wrong: torch.Tensor, doubt: torch.Tensor, targets: torch.Tensor):
    """Two classes; the larger `doubt`, the smaller the lead of the chosen class."""
    chosen = torch.where(wrong, 1 - targets, targets)
    lead = torch.nn.functional.one_hot(chosen, 2) * (-doubt).exp()[:, None]
    return ClassPredictions(lead, targets)


def _neighbors(distance: torch.Tensor) -> TrainNeighbors:
    rows = torch.arange(len(distance))
    distances = torch.stack((distance, distance + 9), dim=1).double()
    return TrainNeighbors(rows, distances, torch.stack((rows, rows), dim=1))


def _read(**splits: tuple[torch.Tensor, ...]):
    """Each split: wrong, feature distance, input distance, targets."""
    return distance_error(
        {name: _predictions(w, d, t) for name, (w, d, _, t) in splits.items()},
        {name: _neighbors(i) for name, (_, _, i, _) in splits.items()},
        {name: _neighbors(d) for name, (_, d, _, _) in splits.items()},
    )


def _split(n: int, error: float, effect: float, generator: torch.Generator, offset: float = 0.0):
    """Feature distance N(effect, 1) for mistakes and N(0, 1) for hits; input distance blind."""
    wrong = torch.rand(n, generator=generator) < error
    feature, blind = torch.randn(2, n, generator=generator, dtype=torch.double)
    targets = torch.randint(2, (n,), generator=generator)
    return wrong, feature + effect * wrong + offset + 10, blind + 10, targets


def test_is_read_once():
    assert distance_error.reads_splits == "none"


def test_areas_agree_with_sklearn(generator):
    test, fog = _split(200, 0.2, 1.0, generator), _split(150, 0.5, 0.5, generator, offset=1.0)
    reading = _read(test=test, fog=fog)
    wrong, feature, inputs = (torch.cat((a, b)) for a, b in zip(test[:3], fog[:3], strict=True))
    assert reading.value == pytest.approx(roc_auc_score(wrong, feature))
    assert reading.parts[FEATURE] == reading.estimate
    assert reading.parts[INPUT].value == pytest.approx(roc_auc_score(wrong, inputs))
    assert reading.parts["feature distance, fog"].value == pytest.approx(roc_auc_score(*fog[:2]))
    assert reading.parts["input distance, test"].value == pytest.approx(
        roc_auc_score(test[0], test[2])
    )
    assert reading.null is not None
    assert reading.null.value == 0.5


def test_confidence_is_the_rival(generator):
    """The fixture's confidence falls with feature distance: the same ranking, and no lead."""
    reading = _read(test=_split(300, 0.3, 1.0, generator))
    assert reading.parts["low confidence, pooled"].value == pytest.approx(reading.value)
    lead = reading.parts["feature distance minus low confidence, pooled"]
    assert lead.value == pytest.approx(0, abs=1e-12)
    assert lead.low <= 0
    wrong, feature, inputs, targets = _split(300, 0.3, 1.0, generator)
    other = distance_error(
        {"test": _predictions(wrong, inputs, targets)},
        {"test": _neighbors(inputs)},
        {"test": _neighbors(feature)},
    )
    lead = other.parts["feature distance minus low confidence, pooled"]
    expected = other.value - other.parts["low confidence, pooled"].value
    assert lead.value == pytest.approx(expected)
    assert lead.low > 0


def test_interval_covers_the_area_of_two_normals():
    """P(N(1, 1) > N(0, 1)) = Phi(1 / sqrt 2)."""
    generator = torch.Generator().manual_seed(1)
    truth, covered, within = norm.cdf(1 / math.sqrt(2)), 0, 0
    for _ in range(200):
        reading = _read(test=_split(250, 0.3, 1.0, generator))
        part = reading.parts["input distance, test"]
        covered += reading.low <= truth <= reading.high
        within += part.low <= 0.5 <= part.high
    assert 0.90 <= covered / 200 <= 0.99
    assert 0.90 <= within / 200 <= 0.99


def test_interval_covers_the_pooled_area_of_unlike_splits():
    """Sizes are fixed and errors differ much: the truth is a mixture of normal areas."""
    generator = torch.Generator().manual_seed(1)
    splits = {"test": (200, 0.1, 0.0), "fog": (200, 0.7, 2.0)}  # examples, error, offset
    bad = {name: n * e for name, (n, e, _) in splits.items()}
    good = {name: n * (1 - e) for name, (n, e, _) in splits.items()}
    truth = sum(
        bad[a] * good[b] * norm.cdf((0.5 + splits[a][2] - splits[b][2]) / math.sqrt(2))
        for a in splits
        for b in splits
    ) / (sum(bad.values()) * sum(good.values()))
    covered = 0
    for _ in range(200):
        reading = _read(**{
            name: _split(n, error, 0.5, generator, offset)
            for name, (n, error, offset) in splits.items()
        })  # fmt: skip
        covered += reading.low <= truth <= reading.high
    assert 0.90 <= covered / 200 <= 0.99


def test_copies_of_test_do_not_count_as_new_examples():
    """Three identical splits: the same interval as one, though independence would narrow it."""
    generator = torch.Generator().manual_seed(1)
    truth, covered = norm.cdf(1 / math.sqrt(2)), 0
    for _ in range(200):
        split = _split(200, 0.3, 1.0, generator)
        reading = _read(test=split, a=split, b=split)
        covered += reading.low <= truth <= reading.high
    assert 0.90 <= covered / 200 <= 0.99
    single = _read(test=split)
    assert (reading.low, reading.high) == pytest.approx((single.low, single.high), rel=1e-9)


def test_orders_telling_blind_and_inverted_distances(generator):
    telling, blind, inverted = (
        _read(test=_split(800, 0.3, effect, generator)) for effect in (1.0, 0.0, -1.0)
    )
    assert inverted.high < blind.low < 0.5 < blind.high < telling.low


def test_detecting_a_shift_is_not_detecting_mistakes_within_it(generator):
    """Fog is far and often wrong; within each split distance knows nothing."""
    reading = _read(
        test=_split(400, 0.1, 0.0, generator), fog=_split(400, 0.6, 0.0, generator, offset=3.0)
    )
    assert reading.low > 0.6
    for name in ("test", "fog"):
        part = reading.parts[f"feature distance, {name}"]
        assert part.low <= 0.5 <= part.high


def test_a_perfect_ranking_is_not_certain(generator):
    wrong = torch.arange(200) < 20
    targets = torch.randint(2, (200,), generator=generator)
    reading = _read(test=(wrong, wrong.double(), torch.ones(200), targets))
    assert reading.value == 1.0
    assert reading.low == pytest.approx(0.025 ** (1 / 20))
    assert reading.parts[INPUT].value == 0.5


def test_curves_show_error_by_tenth(generator):
    """One hundred examples by distance: the farthest thirty are wrong."""
    order = torch.randperm(100, generator=generator)
    targets = torch.randint(2, (100,), generator=generator)
    reading = _read(test=(order >= 70, order.double(), 100 - order.double(), targets))
    feature, inputs = reading.figures
    assert feature.series["test"].tolist() == pytest.approx([0.0] * 7 + [1.0] * 3)
    assert inputs.series["test"].tolist() == pytest.approx([1.0] * 3 + [0.0] * 7)
    assert feature.high["test"][0] > 0


def test_says_which_splits_have_no_area_of_their_own(generator):
    test, fog = _split(300, 0.3, 1.0, generator), _split(40, 0.0, 1.0, generator)
    reading = _read(test=test, fog=fog)
    assert reading.notes == ("No area within fog: 0 mistakes among 40 examples.",)
    assert "feature distance, fog" not in reading.parts
    assert "feature distance, test" in reading.parts


def test_order_of_the_examples_and_scale_do_not_matter(generator):
    split = _split(200, 0.3, 1.0, generator)
    order = torch.randperm(200, generator=generator)
    wrong, feature, inputs, targets = (column[order] for column in split)
    expected, found = _read(test=split), _read(test=(wrong, 3 * feature, inputs, targets))
    assert (found.low, found.value, found.high) == pytest.approx(
        (expected.low, expected.value, expected.high), rel=1e-12
    )


def test_splits_without_targets_or_distances_are_passed_over(generator):
    wrong, feature, _, targets = _split(200, 0.3, 1.0, generator)
    predictions = _predictions(wrong, feature, targets)
    near = {"test": _neighbors(feature), "fog": _neighbors(feature)}
    expected = _read(test=(wrong, feature, feature, targets))
    assert distance_error({"test": predictions}, near, near).estimate == expected.estimate
    with pytest.raises(CannotMeasure, match="no split has targets and distances"):
        distance_error({"other": predictions}, near, near)


def test_refuses_a_model_that_makes_no_mistakes(generator):
    with pytest.raises(CannotMeasure, match="got 9 mistakes among 100 examples"):
        _read(test=(torch.arange(100) < 9, *_split(100, 0.3, 1.0, generator)[1:]))
    with pytest.raises(CannotMeasure, match="10 mistakes and 10 hits, got 91"):
        _read(test=(torch.arange(100) >= 9, *_split(100, 0.3, 1.0, generator)[1:]))
