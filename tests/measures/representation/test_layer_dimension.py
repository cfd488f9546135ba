"""The dimension of each layer's outputs, in networks that fold, keep or flatten."""

import pytest
import torch
from torch import nn

from offmap.attempt import CannotMeasure
from offmap.inputs import Features, Layers, TrainNeighbors
from offmap.measures.representation.layer_dimension import layer_dimension
from offmap.numerics.neighbors import search
from offmap.run import Domain, Split
from offmap.table import TensorTable

VECTORS = Domain((6,), torch.float32)


def network(*weights):
    """Linear layers with these matrices, none of them with a bias."""
    layers = [nn.Linear(w.shape[1], w.shape[0], bias=False) for w in weights]
    with torch.no_grad():
        for layer, weight in zip(layers, weights, strict=True):
            layer.weight.copy_(weight)
    return nn.Sequential(*layers)


def read(values, model, generator, *, domain=VECTORS, rows=None, **settings):
    with torch.no_grad():
        features = model[:-1](values)
    every = torch.arange(len(values))
    found = search(features, features, k=min(20, len(values) - 1), exclude=every)
    return layer_dimension(
        Features(TensorTable(features), str(len(model) - 1), 2**30),
        TrainNeighbors(every, found.distance, found.index),
        Layers(model, Split(values), every if rows is None else rows),
        domain,
        generator=generator,
        **settings,
    )


def likelihoods(reading):
    ending = ": maximum likelihood"
    return {n.removesuffix(ending): p for n, p in reading.parts.items() if n.endswith(ending)}


def test_a_projection_loses_dimensions_and_a_rotation_none(generator):
    values = torch.randn(1000, 6, generator=generator)
    turn = torch.linalg.qr(torch.randn(6, 6, generator=generator)).Q
    reading = read(values, network(turn, turn[:2], torch.ones(1, 2)), generator)
    found = likelihoods(reading)
    assert list(found) == ["inputs", "0", "1", "2", "features"]
    assert found["0"].value == pytest.approx(found["inputs"].value, rel=1e-4)
    assert found["inputs"].value == pytest.approx(6, rel=0.15)
    assert found["1"].value == pytest.approx(2, rel=0.1)
    assert found["2"].value == pytest.approx(1, rel=0.1)
    assert found["features"] == found["1"]
    assert reading.value == pytest.approx(2, rel=0.1)
    assert reading.null.value == pytest.approx(2, rel=0.1)
    assert reading.parts["1: TwoNN"].low < 2 < reading.parts["1: TwoNN"].high
    assert [list(bars.values) for bars in reading.figures[1:]] == [list(found)] * 2


def test_layers_are_read_on_the_sampled_rows_and_the_headline_on_all(generator):
    values = torch.randn(400, 6, generator=generator)
    rows = torch.arange(0, 400, 4)
    reading = read(values, network(torch.eye(6), torch.ones(1, 6)), generator, rows=rows)
    assert reading.estimate.n == 400
    assert {one.n for one in likelihoods(reading).values()} == {100}


def test_curved_features_lie_below_the_cloud_of_their_covariance(generator):
    """A circle in two features: one dimension, and two by its covariance."""
    angle = 6.2832 * torch.rand(800, 1, generator=generator)
    circle = torch.cat([angle.cos(), angle.sin()], dim=1)
    reading = read(circle, network(torch.eye(2), torch.ones(1, 2)), generator)
    assert reading.value == pytest.approx(1, rel=0.1)
    assert reading.null.value == pytest.approx(2, rel=0.1)
    assert reading.high < reading.null.low


def test_interval_covers_the_truth(generator):
    """Points on a circle: even density, no edge, and too little curvature to matter."""
    model = network(torch.ones(1, 2))  # the features are the inputs
    covered = 0
    for _ in range(200):
        angle = 6.2832 * torch.rand(100, 1, generator=generator)
        circle = torch.cat([angle.cos(), angle.sin()], dim=1)
        reading = read(circle, model, generator, k=5, rows=torch.arange(50))
        covered += reading.low <= 1 <= reading.high
    assert 0.90 <= covered / 200 <= 0.99


def test_orders_features_of_one_two_and_five_dimensions(generator):
    values = torch.randn(600, 6, generator=generator)
    readings = [
        read(values, network(torch.eye(6)[:d], torch.ones(1, d)), generator) for d in (1, 2, 5)
    ]
    assert readings[0].high < readings[1].low < readings[1].high < readings[2].low


def test_invariant_to_the_order_of_examples_and_the_scale_of_features(generator):
    values = torch.randn(200, 6, generator=generator)
    order = torch.randperm(200, generator=generator)
    one = read(values, network(torch.eye(6), torch.ones(1, 6)), generator)
    other = read(values[order], network(4 * torch.eye(6), torch.ones(1, 6)), generator)
    assert other.value == pytest.approx(one.value, rel=1e-6)
    assert other.low == pytest.approx(one.low, rel=1e-6)


def test_a_dead_layer_is_noted_and_the_others_are_read(generator):
    values = torch.randn(100, 6, generator=generator)
    reading = read(values, network(torch.eye(6), torch.zeros(1, 6)), generator)
    assert "1" not in likelihoods(reading)
    assert reading.notes == (
        "Not measured: outputs of 1: 100.0% of the points equal another one, more than 5%: "
        "repeated points have no dimension; remove copies first.",
    )


def test_tokens_have_no_dimension_but_their_features_do(generator):
    values = torch.randn(100, 6, generator=generator)
    tokens = Domain((6,), torch.int64, kind="tokens")
    reading = read(values, network(torch.eye(6), torch.ones(1, 6)), generator, domain=tokens)
    assert "inputs" not in likelihoods(reading)


def test_refuses_features_that_are_copies_and_wrong_settings(generator):
    values = torch.randn(100, 6, generator=generator)
    with pytest.raises(CannotMeasure, match=r"training features: 100.0% of the points equal"):
        read(values, network(torch.zeros(6, 6), torch.ones(1, 6)), generator)
    with pytest.raises(ValueError, match="k >= 3, got 2"):
        read(values, network(torch.eye(6), torch.ones(1, 6)), generator, k=2)
