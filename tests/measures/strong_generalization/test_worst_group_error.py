import pytest
import torch
from scipy import stats

from offmap.attempt import CannotMeasure
from offmap.inputs import ClassPredictions
from offmap.measures.strong_generalization.worst_group_error import worst_group_error


def _predictions(wrong: torch.Tensor) -> ClassPredictions:
    logits = torch.nn.functional.one_hot(wrong.long(), 2).float()
    return ClassPredictions(logits, torch.zeros(len(wrong), dtype=torch.long))


def _grouped(errors: list[float], each: int, generator: torch.Generator):
    groups = torch.arange(len(errors)).repeat_interleave(each)
    wrong = torch.rand(len(groups), generator=generator) < torch.tensor(errors)[groups]
    return _predictions(wrong), groups


def _counted(*counts: tuple[int, int, int]):
    """(group, mistakes, examples)."""
    groups = torch.cat([torch.full((n,), group) for group, _, n in counts])
    wrong = torch.cat([torch.arange(n) < k for _, k, n in counts])
    return _predictions(wrong), groups


def test_counts(generator):
    reading = worst_group_error(*_counted((5, 2, 20), (-1, 9, 30), (7, 1, 50)), generator=generator)
    ends = {
        k / n: stats.binomtest(k, n).proportion_ci(1 - 0.05 / 3)
        for k, n in ((2, 20), (9, 30), (1, 50))
    }
    assert reading.value == pytest.approx(0.3)
    assert reading.low == pytest.approx(max(end.low for end in ends.values()))
    assert reading.high == pytest.approx(max(end.high for end in ends.values()))
    assert reading.estimate.n == 30
    assert list(reading.parts) == ["all groups together", "group -1", "group 5", "group 7"]
    assert reading.parts["all groups together"].value == pytest.approx(0.12)
    assert reading.parts["group 5"].low == pytest.approx(ends[0.1].low)
    assert reading.per_example is not None
    assert reading.per_example.tolist() == pytest.approx([0.1] * 20 + [0.3] * 30 + [0.02] * 50)
    assert reading.notes[0].startswith("The worst is group -1;")


def test_interval_covers_the_truly_worst_group_though_the_value_is_biased():
    """Ten equal groups: the largest share is well above 0.2, and the interval still holds it."""
    generator = torch.Generator().manual_seed(1)
    covered, values = 0, []
    for _ in range(200):
        found = worst_group_error(
            *_grouped([0.2] * 10, 60, generator), generator=generator, draws=20
        )
        covered += found.low <= 0.2 <= found.high
        values.append(found.value)
    assert covered / 200 >= 0.95
    assert sum(values) / 200 > 0.26


def test_interval_covers_where_one_group_stands_out():
    generator = torch.Generator().manual_seed(1)
    covered = 0
    for _ in range(200):
        found = worst_group_error(
            *_grouped([0.1, 0.1, 0.4], 80, generator), generator=generator, draws=20
        )
        covered += found.low <= 0.4 <= found.high
    assert covered / 200 >= 0.93


def test_null_is_the_maximum_of_a_random_partition():
    """The worst of four groups of 30, with 24 mistakes dealt at random: by sampling in numpy."""
    predictions, groups = _counted((0, 24, 30), (1, 0, 30), (2, 0, 30), (3, 0, 30))
    generator = torch.Generator().manual_seed(1)
    reading = worst_group_error(predictions, groups, generator=generator, draws=2000)
    dealt = stats.multivariate_hypergeom([30] * 4, 24).rvs(20_000, random_state=0).max(axis=1) / 30
    assert reading.null is not None
    share = (dealt <= reading.null.value).mean()
    assert 0.45 < share < 0.85  # a coarse law: the median's own step
    assert (dealt < reading.null.low).mean() <= 0.025 + 4 * (0.025 / 2000) ** 0.5
    assert (dealt > reading.null.high).mean() <= 0.025 + 4 * (0.025 / 2000) ** 0.5


def test_orders_equal_mild_and_gross(generator):
    equal, mild, gross = (
        worst_group_error(*_grouped(errors, 300, generator), generator=generator)
        for errors in ([0.1] * 4, [0.1, 0.1, 0.1, 0.3], [0.1, 0.1, 0.1, 0.8])
    )
    assert equal.high < mild.low < mild.high < gross.low
    assert equal.null is not None
    assert mild.null is not None
    assert equal.null.low <= equal.value <= equal.null.high
    assert mild.value > mild.null.high


def test_says_how_often_chance_is_as_bad(generator):
    gross = worst_group_error(*_counted((0, 20, 20), (1, 0, 20)), generator=generator)
    assert gross.notes[0].endswith("chance 0.005.")  # 1 / 201: no shuffling came near
    equal = worst_group_error(*_counted((0, 10, 20), (1, 10, 20)), generator=generator)
    assert equal.notes[0].endswith("chance 1.")


def test_small_groups_are_named_and_left_out(generator):
    arguments = _counted((3, 2, 20), (8, 9, 9), (4, 3, 20), (6, 0, 1))
    reading = worst_group_error(*arguments, generator=generator)
    assert reading.value == pytest.approx(0.15)
    assert "group 8" not in reading.parts
    assert reading.parts["all groups together"].n == 40
    assert reading.notes[1] == "Left out for having fewer than 10 examples: groups 6, 8."
    assert reading.per_example is not None
    assert reading.per_example[20:29].isnan().all()
    assert reading.per_example.isnan().sum() == 10
    assert worst_group_error(*arguments, smallest=9, generator=generator).value == 1.0


def test_shows_the_worst_twenty_of_many(generator):
    reading = worst_group_error(*_counted(*((g, g, 40) for g in range(30))), generator=generator)
    assert list(reading.parts)[1:] == [f"group {g}" for g in range(29, 9, -1)]


def test_order_of_examples_and_names_of_groups_do_not_matter(generator):
    predictions, groups = _grouped([0.1, 0.3, 0.2], 50, generator)
    expected = worst_group_error(predictions, groups, generator=generator)
    order = torch.randperm(150, generator=generator)
    mixed = ClassPredictions(predictions.logits[order], predictions.targets[order])
    found = worst_group_error(mixed, 100 - 7 * groups[order], generator=generator)
    assert found.estimate == expected.estimate


def test_refuses(generator):
    predictions, groups = _counted((0, 5, 50), (1, 5, 9))
    with pytest.raises(CannotMeasure, match="two groups of at least 10 examples, got 1"):
        worst_group_error(predictions, groups, generator=generator)
    for settings in ({"smallest": 0}, {"draws": 19}):
        with pytest.raises(ValueError, match="expected smallest >= 1 and draws >= 20"):
            worst_group_error(predictions, groups, generator=generator, **settings)
