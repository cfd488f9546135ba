"""The reference networks: shapes, a head where measures look for it, and what they claim."""

import copy

import pytest
import torch
from torch import nn

from offmap.models import CNN, MLP, Autoencoder, ResNet, Transformer
from offmap.passes import feature_layer

NETWORKS = {
    "mlp": (lambda: MLP(12, (8, 6), 5), (12,), (5,)),
    "mlp of images": (lambda: MLP(12, (8,), 5), (1, 3, 4), (5,)),
    "linear": (lambda: MLP(12, (), 5), (12,), (5,)),
    "cnn 8": (lambda: CNN(1, 5, width=4, size=8), (1, 8, 8), (5,)),
    "cnn 28": (lambda: CNN(1, 5, width=4, size=28), (1, 28, 28), (5,)),
    "cnn 32": (lambda: CNN(3, 5, width=4, size=32), (3, 32, 32), (5,)),
    "resnet": (lambda: ResNet(3, 5, width=4, blocks=2), (3, 32, 32), (5,)),
    "autoencoder": (lambda: Autoencoder((1, 8, 8), code=3, hidden=7), (1, 8, 8), (1, 8, 8)),
}


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(0)
        yield


@pytest.mark.parametrize("name", NETWORKS)
def test_shapes_and_head(name):
    build, shape, out = NETWORKS[name]
    model = build()
    assert model(torch.randn(3, *shape)).shape == (3, *out)
    assert feature_layer(model) == "head"
    assert isinstance(model.head, nn.Linear)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_weight_matters(name):
    build, shape, _ = NETWORKS[name]
    model = build()
    model(torch.randn(16, *shape)).square().sum().backward()
    assert all(w.grad is not None and w.grad.abs().sum() > 0 for w in model.parameters())


@pytest.mark.parametrize("name", NETWORKS)
def test_examples_do_not_touch_each_other_in_evaluation(name):
    build, shape, _ = NETWORKS[name]
    model = build().eval()
    x = torch.randn(4, *shape)
    assert torch.allclose(model(x)[2:3], model(x[2:3]), atol=1e-6)


def test_widths_and_depths_are_what_was_asked():
    assert [w.shape[0] for w in MLP(12, (8, 6), 5).parameters() if w.ndim == 2] == [8, 6, 5]
    maps = [
        m.weight.shape[0] for m in CNN(3, 5, width=4, size=32).modules() if isinstance(m, nn.Conv2d)
    ]
    assert maps == [4, 8, 16]
    net = ResNet(3, 5, width=4, blocks=3)
    weights = [m for m in net.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    around = [m for m in weights if isinstance(m, nn.Conv2d) and m.kernel_size == (1, 1)]
    assert len(weights) - len(around) == 6 * 3 + 2
    assert net.head.in_features == 16


@pytest.mark.parametrize(("size", "last"), [(8, 4), (28, 7), (32, 8)])
def test_the_map_of_the_cnn_before_pooling(size, last):
    body = CNN(1, 5, width=4, size=size).body
    assert body[:-2](torch.randn(2, 1, size, size)).shape == (2, 16, last, last)


def test_a_block_with_dead_convolutions_is_the_identity_on_what_is_positive():
    net = ResNet(3, 5, width=4).eval()
    block = net.body[0]
    for weight in block.body.parameters():
        weight.data.zero_()
    x = torch.rand(2, 4, 8, 8)
    assert torch.equal(block(x), x)


def test_the_transformer_does_not_look_ahead():
    model = Transformer(11, length=9, width=8, heads=2, layers=2).eval()
    tokens = torch.randint(0, 11, (3, 9))
    other = tokens.clone()
    other[:, 5] = (other[:, 5] + 1) % 11
    one, two = model(tokens), model(other)
    assert one.shape == (3, 9, 11)
    assert torch.equal(one[:, :5], two[:, :5])
    assert (one[:, 5:] - two[:, 5:]).abs().flatten(2).amax(dim=2).min() > 1e-6
    assert torch.allclose(model(tokens[:, :4]), one[:, :4], atol=1e-6)


def test_attention_is_that_of_torch():
    model = Transformer(11, length=9, width=8, heads=2, layers=1)
    attention = model.layers[0].attention
    x = torch.randn(3, 6, 8)
    q, k, v = attention.query_key_value(x).chunk(3, dim=-1)
    q, k, v = (z.view(3, 6, 2, 4).transpose(1, 2) for z in (q, k, v))
    mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    want = attention.out(mixed.transpose(1, 2).reshape(3, 6, 8))
    assert torch.allclose(attention(x), want, atol=1e-6)


def test_the_transformer_has_second_derivatives():
    model = Transformer(5, length=4, width=8, heads=2, layers=1)
    loss = model(torch.tensor([[1, 2, 3, 4]])).square().sum()
    weights = [w for w in model.parameters() if w.requires_grad]
    gradients = torch.autograd.grad(loss, weights, create_graph=True)
    again = torch.autograd.grad(sum(g.square().sum() for g in gradients), weights)
    assert all(g.isfinite().all() for g in again)
    assert sum(g.abs().sum() for g in again) > 0


def test_refusals():
    with pytest.raises(ValueError, match="width to be a multiple of heads, got 10 and 4"):
        Transformer(5, width=10, heads=4)


@pytest.mark.parametrize("name", ["cnn 8", "mlp of images"])
def test_they_learn(name):
    """Labels that a linear rule makes are fitted: cross-entropy falls below a tenth of chance."""
    build, shape, _ = NETWORKS[name]
    model = build()
    x = torch.randn(64, *shape)
    y = (x.flatten(1) @ torch.randn(x[0].numel(), 5)).argmax(dim=1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1 * torch.log(torch.tensor(5.0)).item()


def test_copies_are_independent():
    model = MLP(3, (4,), 2)
    other = copy.deepcopy(model)
    other.head.weight.data.zero_()
    assert model.head.weight.abs().sum() > 0
