"""Directions that representations fill."""

import itertools

import pytest
import torch
from torch import nn

from offmap.attempt import CannotMeasure
from offmap.inputs import Features, Layers
from offmap.measures.representation.effective_rank import effective_rank
from offmap.run import Domain, Split
from offmap.table import TensorTable

DOMAIN = Domain((6,), torch.float32)
TOKENS = Domain((6,), torch.int64, kind="tokens")


def identity_net(d):
    """A network whose first layer hands its input on, and whose second reads one number."""
    model = nn.Sequential(nn.Linear(d, d, bias=False), nn.Linear(d, 1))
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(d))
    return model


def read(values, *, domain=DOMAIN, rows=None, **settings):
    layers = Layers(
        identity_net(values.shape[1]),
        Split(values),
        torch.arange(len(values)) if rows is None else rows,
    )
    return effective_rank(Features(TensorTable(values), "1", 2**30), layers, domain, **settings)


def cloud(m, spectrum, generator):
    deviations = torch.as_tensor(spectrum).sqrt()
    return torch.randn(m, len(deviations), generator=generator) * deviations


def test_a_known_spectrum(generator):
    """Variances 4, 2, 1, 1: 64 / 22 directions by the one count and 2 by the other."""
    reading = read(cloud(2000, [4.0, 2.0, 1.0, 1.0], generator), examples=2000)
    assert reading.low < 64 / 22 < reading.high
    assert reading.high - reading.low < 0.4
    stable = reading.parts["stable rank"]
    # the interval is about four standard errors wide
    assert stable.value == pytest.approx(2, abs=stable.high - stable.low)
    assert 0.05 < stable.high - stable.low < 0.3
    assert reading.null.value == 4


def test_there_are_no_more_directions_than_dimensions(generator):
    reading = read(cloud(60, [1.0, 1.0, 1.0], generator))
    assert reading.value <= reading.high <= 3
    assert reading.parts["stable rank"].high <= 3


def test_layers_inputs_and_features_are_told_apart(generator):
    """The inputs fill all 6 dimensions, the layer hands them on, the features fill one."""
    values = cloud(300, [1.0] * 6, generator)
    layers = Layers(identity_net(6), Split(values), torch.arange(300))
    flat = values[:, :1].expand(-1, 6).contiguous()
    reading = effective_rank(Features(TensorTable(flat), "1", 2**30), layers, DOMAIN)
    assert reading.value == pytest.approx(1)
    assert reading.parts["inputs: participation ratio"].low > 5
    assert reading.parts["0: participation ratio"].value == pytest.approx(
        reading.parts["inputs: participation ratio"].value
    )
    assert reading.parts["1: stable rank"].value == pytest.approx(1)
    assert [list(figure.values) for figure in reading.figures] == [
        ["inputs", "0", "1", "features"]
    ] * 2


def test_pictures_without_a_channel_count_every_pixel(generator):
    """[n, 2, 3] inputs have six numbers each, not three averages."""
    values = cloud(300, [1.0] * 6, generator)
    model = torch.nn.Sequential(torch.nn.Flatten(), *identity_net(6)).eval()
    layers = Layers(model, Split(values.view(300, 2, 3)), torch.arange(300))
    reading = effective_rank(Features(TensorTable(values), "1", 2**30), layers, DOMAIN)
    assert reading.parts["inputs: participation ratio"].low > 5


def test_orders_collapsed_clustered_and_even_features(generator):
    even = cloud(400, [1.0] * 10, generator)
    corners = torch.eye(10)[torch.randint(5, (400,), generator=generator)]
    clustered = corners * 3 + 0.1 * even
    line = even[:, :1] * torch.ones(1, 10)
    readings = [read(values) for values in (line, clustered, even)]
    for fewer, more in itertools.pairwise(readings):
        assert fewer.high < more.low
    assert abs(readings[1].value - 4) < 0.5  # five corners span four dimensions


def test_interval_covers_the_truth(generator):
    spectrum = 1 / torch.arange(1, 21).float()
    truth = (spectrum.sum() ** 2 / spectrum.square().sum()).item()
    top = spectrum.sum().item()
    ratio = stable = 0
    for _ in range(200):
        reading = read(cloud(100, spectrum, generator), domain=TOKENS)
        ratio += reading.low <= truth <= reading.high
        part = reading.parts["stable rank"]
        stable += part.low <= top <= part.high
    assert 0.90 <= ratio / 200 <= 0.99
    assert stable / 200 >= 0.95  # an interval around two estimates: wider than need be


def test_invariant_to_order_rotation_scale_and_place(generator):
    values = cloud(200, [4.0, 2.0, 1.0, 1.0], generator).double()
    turn = torch.linalg.qr(torch.randn(4, 4, dtype=torch.double, generator=generator)).Q

    def value(values):
        return read(values.float()).estimate

    moved = 3 * values[torch.randperm(200, generator=generator)] @ turn + 5
    assert value(moved).value == pytest.approx(value(values).value, rel=1e-5)
    assert value(moved).low == pytest.approx(value(values).low, rel=1e-5)


def test_reads_the_features_of_the_sampled_rows_evenly_spaced(generator):
    """Rows sorted by class: the chosen ones must come from all of them."""
    values = torch.zeros(400, 3)
    values[:200, 0] = torch.randn(200, generator=generator)
    values[200:, 1:] = torch.randn(200, 2, generator=generator)
    half = read(values, examples=100)
    assert half.estimate.n == 100
    assert half.high > 2.5
    first = read(values, rows=torch.arange(0, 200))
    assert first.value == pytest.approx(1)
    assert read(values, rows=torch.arange(200, 400)).low > 1.5


def test_tokens_have_no_input_directions(generator):
    values = cloud(60, [1.0] * 6, generator)
    reading = read(values, domain=TOKENS)
    assert not any(name.startswith("inputs") for name in reading.parts)


def test_a_dead_layer_is_noted(generator):
    values = cloud(60, [1.0] * 6, generator)
    layers = Layers(identity_net(6), Split(values), torch.arange(60))
    with torch.no_grad():
        layers.model[1].weight.zero_()
    reading = effective_rank(Features(TensorTable(values), "1", 2**30), layers, DOMAIN)
    assert reading.notes == ("The outputs of 1 do not vary enough to count directions.",)


def test_refuses_features_that_do_not_vary_and_few_examples(generator):
    with pytest.raises(CannotMeasure, match="features of 60 examples do not vary"):
        read(torch.ones(60, 6))
    with pytest.raises(CannotMeasure, match="at least 50 examples, got 49"):
        read(cloud(49, [1.0] * 6, generator))
    with pytest.raises(ValueError, match="examples >= 50, got 10"):
        read(cloud(60, [1.0] * 6, generator), examples=10)
