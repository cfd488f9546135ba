"""The same shares in feature space, and on the way through the network."""

import pytest
import torch
from torch import nn

from offmap.attempt import CannotMeasure
from offmap.inputs import Features, Layers
from offmap.measures.geometry.feature_hull_membership import feature_hull_membership
from offmap.measures.geometry.hull_membership import hull_membership
from offmap.run import Domain, Split
from offmap.table import TensorTable


def network(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(*layers).double().eval()


def linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(outputs, inputs, generator=generator))
        layer.bias.copy_(torch.randn(outputs, generator=generator))
    return layer


def read(model, queries, train, generator, *, kind="vector", **settings):
    """A reading of the input of the last layer."""
    splits = Split(queries, name="test"), Split(train, name="train")
    with torch.no_grad():
        tables = [Features(TensorTable(model[:-1](s.inputs)), "head", 2**30) for s in splits]
    layers = [Layers(model, split, torch.arange(len(split))) for split in splits]
    domain = Domain(tuple(train.shape[1:]), train.dtype, kind=kind)
    return feature_hull_membership(*tables, *layers, domain, {}, generator=generator, **settings)


def normal(n, d, generator):
    return torch.randn(n, d, generator=generator, dtype=torch.double)


def test_a_linear_network_changes_no_answer(generator):
    """The features are an affine image of the inputs: every share is that of the inputs."""
    train, queries = normal(80, 3, generator), normal(60, 3, generator)
    model = network(linear(3, 5, generator), linear(5, 2, generator))
    found = read(model, queries, train, generator, dimensions=(1,), components=3)
    domain = Domain((3,), torch.double)
    twin = hull_membership(
        Split(queries, name="test"), Split(train), domain, {}, dimensions=(1,), generator=generator
    )
    assert found.estimate == twin.estimate
    assert found.null == twin.null
    assert torch.equal(found.per_example == 3, twin.per_example == 3)
    for stage in ("inputs", "0"):
        assert found.parts[f"{stage}: inside, 3 components"] == twin.estimate
    assert found.parts["layers: Gaussian data"].value == twin.null.value
    assert "The outputs of 1 on train fill fewer than 3 dimensions." in found.notes
    bars = found.figures[1].values
    assert list(bars) == ["inputs", "0", "Gaussian data"]


def test_orders_a_network_that_keeps_apart_and_one_that_folds_back(generator):
    """Far inputs: outside for a linear layer, amid the others' features for a periodic one."""

    class Sine(nn.Module):
        def forward(self, inputs):
            return inputs.sin()

    train = 10 * normal(300, 2, generator)
    near, far = 10 * normal(100, 2, generator), 10 * normal(100, 2, generator) + 200
    first = linear(2, 2, generator)
    straight = network(first, linear(2, 2, generator))
    folded = network(first, Sine(), linear(2, 2, generator))
    settings = {"dimensions": (1,), "components": 2, "generator": generator}
    assert read(straight, far, train, **settings).value == 0
    assert read(straight, near, train, **settings).low > 0.9
    back = read(folded, far, train, **settings)
    assert back.low > 0.8
    assert back.parts["inputs: inside, 2 components"].value == 0


def test_normalized_features_are_said_to_mean_nothing(generator):
    class Sphere(nn.Module):
        def forward(self, inputs):
            return nn.functional.normalize(inputs)

    model = network(linear(3, 3, generator), Sphere(), linear(3, 2, generator))
    reading = read(model, normal(50, 3, generator), normal(200, 3, generator), generator)
    assert reading.value == 0
    assert any("on a sphere" in note for note in reading.notes)


def test_images_are_flattened_and_tokens_left_out(generator):
    train, queries = (normal(n, 8, generator).view(n, 2, 2, 2) for n in (40, 30))
    model = network(nn.Flatten(), linear(8, 4, generator), linear(4, 2, generator))
    reading = read(model, queries, train, generator, components=2)
    names = [name for name in reading.parts if "components" in name and ":" in name]
    assert names == [f"{stage}: inside, 2 components" for stage in ("inputs", "1", "2")]
    reading = read(model, queries, train, generator, components=2, kind="tokens")
    assert "inputs: inside, 2 components" not in reading.parts


def test_refuses_features_that_are_one_point(generator):
    dead = nn.Linear(3, 2)
    nn.init.zeros_(dead.weight)
    model = network(dead, linear(2, 2, generator))
    with pytest.raises(CannotMeasure, match="training examples are equal"):
        read(model, normal(5, 3, generator), normal(9, 3, generator), generator)
    with pytest.raises(ValueError, match="expected k >= 1"):
        alive = network(linear(3, 2, generator), linear(2, 2, generator))
        read(alive, normal(5, 3, generator), normal(9, 3, generator), generator, components=0)
