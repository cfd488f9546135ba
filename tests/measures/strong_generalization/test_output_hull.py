"""Predictions beyond the training targets: by hand, and by models that can and cannot leave."""

import pytest
import torch
from scipy.spatial import Delaunay
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsRegressor

from offmap.attempt import CannotMeasure
from offmap.inputs import ClassPredictions, RealPredictions
from offmap.measures.strong_generalization.output_hull import output_hull
from offmap.run import Split

TRUE = "true targets outside"


def read(outputs, targets, trained_on, **settings):
    train = Split(torch.zeros(len(trained_on), 1), trained_on, name="train")
    return output_hull(RealPredictions(outputs, targets), train, **settings)


def test_counts_by_hand():
    """Targets -1, 1, -1, 1: their radius is 1."""
    trained_on = torch.tensor([[-1.0], [1], [-1], [1]])
    outputs = torch.tensor([[0.0], [1], [1.5], [-3], [-1], [0.5], [2], [1]])
    targets = torch.tensor([[0.0], [2], [2], [-1], [-1], [0.5], [1], [1]])
    reading = read(outputs, targets, trained_on)
    assert reading.value == 3 / 8
    assert reading.null.value == 0
    assert reading.per_example.tolist() == [0, 0, 0.5, 2, 0, 0, 1, 0]
    assert reading.parts[TRUE].value == 2 / 8
    assert reading.parts["of the true targets outside, predicted outside"].value == 1 / 2
    assert reading.parts["farthest outside, in radii"].value == 2
    assert reading.notes == ("The predictions farthest outside are those of rows 3, 6, 2.",)


def test_averages_cannot_leave_and_lines_can(generator):
    """y = 3 x on [-1, 1], asked on [-10, 10]."""
    x = 2 * torch.rand(200, 1, generator=generator, dtype=torch.double) - 1
    far = torch.linspace(-10, 10, 201).double()[:, None]
    readings = {}
    for model in (
        KNeighborsRegressor(5),
        RandomForestRegressor(20, random_state=0),
        LinearRegression(),
    ):
        model.fit(x.numpy(), 3 * x[:, 0].numpy())
        said = torch.from_numpy(model.predict(far.numpy()))
        for dtype in (torch.float32, torch.float64):
            outputs = said.to(dtype).reshape(-1, 1)
            readings[type(model).__name__] = read(outputs, (3 * far).to(dtype), 3 * x)
            found = readings[type(model).__name__]
            assert found.parts[TRUE].value == pytest.approx(0.9, abs=0.02)
            if not isinstance(model, LinearRegression):
                assert found.value == 0
    line = readings["LinearRegression"]
    assert line.value == line.parts[TRUE].value
    assert line.parts["of the true targets outside, predicted outside"].value == 1


def test_two_outputs_have_a_hull_and_not_a_box(generator):
    trained_on = torch.rand(40, 2, generator=generator, dtype=torch.double)
    outputs = 1.4 * torch.rand(300, 2, generator=generator, dtype=torch.double) - 0.2
    reading = read(outputs, outputs, trained_on)
    inside = Delaunay(trained_on.numpy()).find_simplex(outputs.numpy()) >= 0
    assert reading.value == 1 - inside.mean()
    assert torch.equal(reading.per_example > 0, torch.from_numpy(~inside))
    corner = torch.tensor([[1.0, 1.0]])
    triangle = torch.tensor([[0.0, 0], [1, 0], [0, 1]])
    found = read(corner, corner, triangle)
    assert found.value == 1  # in the box, half a diagonal off the triangle
    expected = 0.5**0.5 / (4 / 9) ** 0.5
    assert found.per_example.item() == pytest.approx(expected, rel=0.021)


def test_one_column_without_a_dimension_is_read_as_one_output():
    outputs, trained_on = torch.tensor([0.0, 5.0]), torch.tensor([-1.0, 1.0])
    assert read(outputs, outputs, trained_on).per_example.tolist() == [0, 4]


def test_rounding_of_a_mean_is_not_leaving():
    trained_on = torch.tensor([[0.0], [1.0]])
    above = torch.tensor([[1.0000001]])
    assert read(above, above, trained_on).value == 0
    assert read(above, above, trained_on, tolerance=0.0).value == 1


def test_interval_covers_the_truth(generator):
    """Outputs uniform on [-1, 1], targets in [-0.7, 0.7]: three in ten are outside."""
    trained_on, covered = torch.tensor([[-0.7], [0.7]]), 0
    for _ in range(200):
        outputs = 2 * torch.rand(60, 1, generator=generator) - 1
        reading = read(outputs, torch.zeros(60, 1), trained_on)
        covered += reading.low <= 0.3 <= reading.high
    assert 0.90 <= covered / 200 <= 0.99


def test_errors_outside_and_inside_are_compared(generator):
    """Errors N(2, 1) outside and N(1, 1) inside."""
    trained_on, covered = torch.tensor([[-1.0], [1.0]]), 0
    for _ in range(200):
        outputs = 2 * torch.rand(80, 1, generator=generator, dtype=torch.double) - 1
        outputs[:40] += 5
        error = (torch.randn(80, 1, generator=generator).abs() + 1).double()
        error[:40] += 1
        reading = read(outputs, outputs - error.sqrt(), trained_on)
        part = reading.parts["error outside minus inside"]
        covered += part.low <= 1 <= part.high
    assert 0.90 <= covered / 200 <= 0.99


def test_unit_and_order_do_not_matter(generator):
    trained_on = torch.randn(50, 3, generator=generator, dtype=torch.double)
    outputs = 2 * torch.randn(40, 3, generator=generator, dtype=torch.double)
    one = read(outputs, outputs, trained_on)
    order = torch.randperm(40, generator=generator)
    moved = 8 * outputs[order] + 5
    other = read(moved, moved, 8 * trained_on + 5)
    assert other.estimate == one.estimate
    torch.testing.assert_close(other.per_example, one.per_example[order], rtol=0.03, atol=1e-9)


def test_is_about_regression():
    assert output_hull.tasks == (RealPredictions,)
    assert ClassPredictions not in output_hull.tasks


def test_refuses_what_has_no_range():
    one = torch.ones(3, 1)
    with pytest.raises(CannotMeasure, match="training targets are all equal"):
        read(one, one, one)
    with pytest.raises(ValueError, match="expected tolerance >= 0"):
        read(one, one, torch.tensor([[0.0], [1.0]]), tolerance=-1.0)
