"""Passes leave the network as it was, and refuse outputs that mean nothing."""

import pytest
import torch
from torch import nn

from offmap.attempt import InputError
from offmap.passes import (
    BATCH,
    captured,
    device_of,
    evaluating,
    feature_layer,
    flat,
    named_layer,
    outputs,
    weight_layers,
)
from offmap.run import Split


class Net(nn.Module):
    """A body, a head in the middle of the definition, and parts that are no layers."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 2, 3)
        self.norm = nn.BatchNorm2d(2)
        self.drop = nn.Dropout(0.9)
        self.head = nn.Linear(8, 3)
        self.spare = nn.ParameterList([nn.Parameter(torch.ones(2, 2))])

    def forward(self, x):
        return self.head(self.drop(self.norm(self.first(x)).relu()).flatten(1))


@pytest.fixture
def net():
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(0)
        return Net()


@pytest.fixture
def x(generator):
    return torch.randn(5, 1, 4, 4, generator=generator)


def test_modes_are_set_and_put_back_module_by_module(net, x):
    net.train()
    net.norm.eval()
    before = {name: module.training for name, module in net.named_modules()}
    with evaluating(net) as inside:
        assert inside is net
        assert not any(module.training for module in net.modules())
        assert torch.equal(net(x), net(x))
    assert {name: module.training for name, module in net.named_modules()} == before


def test_modes_and_gradients_are_put_back_after_an_error(net):
    net.train()
    with pytest.raises(KeyError), evaluating(net):
        assert not torch.is_grad_enabled()
        raise KeyError
    assert all(module.training for module in net.modules())
    assert torch.is_grad_enabled()


def test_statistics_of_batch_norm_stay(net, x):
    net.train()
    before = net.norm.running_mean.clone()
    with evaluating(net):
        net(x)
    assert torch.equal(net.norm.running_mean, before)


@pytest.mark.parametrize("gradients", [True, False])
def test_gradients_are_as_asked(net, x, gradients):
    with torch.set_grad_enabled(not gradients):
        with evaluating(net, gradients=gradients):
            assert net(x).requires_grad is gradients
        assert torch.is_grad_enabled() is not gradients


def test_captured_inputs_and_outputs(net, x):
    with evaluating(net), captured(net, inputs_of="head", outputs_of=("first", "norm")) as caught:
        out = net(x)
    maps = nn.functional.conv2d(x, net.first.weight, net.first.bias)
    assert torch.allclose(caught["first"], maps, atol=1e-6)
    assert torch.allclose(caught["head"] @ net.head.weight.T + net.head.bias, out, atol=1e-6)
    assert caught["head"].shape == (5, 8)
    assert set(caught) == {"head", "first", "norm"}


def test_captured_tensors_carry_no_graph_and_hooks_are_removed(net, x):
    def hooks():
        return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in net.modules())

    with (
        pytest.raises(ZeroDivisionError),
        captured(net, inputs_of="head", outputs_of=("first",)) as c,
    ):
        net(x)
        assert not c["first"].requires_grad
        assert not c["head"].requires_grad
        assert hooks() == 2
        raise ZeroDivisionError
    assert hooks() == 0


def test_of_a_tuple_the_first_tensor_is_caught(generator):
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.GRU(3, 4, batch_first=True)

        def forward(self, x):
            return self.layer(x)[0]

    model = Recurrent()
    with captured(model, outputs_of=("layer",)) as caught:
        out = model(torch.randn(2, 6, 3, generator=generator))
    assert torch.equal(caught["layer"], out)


def test_of_several_calls_the_last_one_counts():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 2)

        def forward(self, x):
            return self.layer(self.layer(x))

    model, x = Twice(), torch.ones(1, 2)
    with captured(model, inputs_of="layer") as caught:
        model(x)
    assert torch.equal(caught["layer"], model.layer(x))


def test_what_is_no_tensor_is_not_caught():
    class Named(nn.Module):
        def forward(self, x):
            return {"x": x}

    model = nn.Sequential(Named())
    with captured(model, outputs_of=("0",)), pytest.raises(InputError, match="a tensor, got dict"):
        model(torch.ones(1))


def test_layers_by_name(net):
    assert named_layer(net, "head") is net.head
    with pytest.raises(InputError, match=r"got 'tail'; it has 'first', 'norm', 'drop', 'head'"):
        named_layer(net, "tail")
    with pytest.raises(InputError, match="it has none"):
        named_layer(nn.Linear(1, 1), "tail")


def test_the_feature_layer_is_the_last_linear_one(net):
    assert feature_layer(net) == "head"
    assert feature_layer(nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))) == "2"
    assert feature_layer(nn.Sequential(nn.ReLU())) is None
    assert feature_layer(nn.Linear(2, 1)) == ""


def test_weight_layers_are_the_leaves_with_a_matrix_that_are_called(net):
    assert weight_layers(net) == ("first", "head")
    assert weight_layers(nn.Sequential(nn.ReLU(), nn.LayerNorm(3))) == ()
    assert weight_layers(nn.Sequential(nn.Embedding(3, 2), nn.Sequential(nn.Linear(2, 1)))) == (
        "0",
        "1.0",
    )


def test_flat():
    assert flat(torch.ones(4, 3)).shape == (4, 3)
    assert flat(torch.ones(4, 2, 3, 5)).shape == (4, 30)
    assert flat(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])).tolist() == [[2.0, 3.0]]
    assert flat(torch.ones(4)[:, None]).shape == (4, 1)


def test_device_of_models_without_weights():
    assert device_of(nn.ReLU()) == torch.device("cpu")
    with torch.device("meta"):
        assert device_of(nn.Linear(1, 1)) == torch.device("meta")
        assert device_of(nn.BatchNorm1d(1, affine=False)) == torch.device("meta")


def test_outputs_are_those_of_all_examples_in_order(net, generator):
    split = Split(
        torch.randn(2 * BATCH + 3, 1, 4, 4, generator=generator), torch.arange(2 * BATCH + 3)
    )
    with evaluating(net):
        pairs = list(outputs(net, split))
        want = net(split.inputs)
    assert [len(out) for _, out in pairs] == [BATCH, BATCH, 3]
    assert torch.allclose(torch.cat([out for _, out in pairs]), want, atol=1e-6)
    assert torch.equal(torch.cat([batch.targets for batch, _ in pairs]), split.targets)


def answering(answer):
    """A model that gives `answer(inputs)`."""

    class Model(nn.Module):
        def forward(self, x):
            return answer(x)

    return Model()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda x: (x, x), "return a tensor, got tuple: wrap it"),
        (lambda x: {"logits": x}, "return a tensor, got dict"),
        (lambda x: x.sum(), r"one output for each of 3 examples, got a tensor of shape \(\)"),
        (lambda x: x[:2], r"one output for each of 3 examples, got a tensor of shape \(2, 4\)"),
    ],
)
def test_outputs_that_are_no_answers_are_refused(answer, message):
    with pytest.raises(InputError, match=message):
        list(outputs(answering(answer), Split(torch.ones(3, 4))))


def test_outputs_that_are_not_finite_name_the_rows():
    values = torch.ones(9, 2)
    values[4, 1] = float("nan")
    values[5, 0] = float("-inf")
    values[8, 0] = float("inf")
    model = answering(lambda x: x)
    with pytest.raises(
        InputError, match=r"test: .* 2 of the examples 3 to 5, the first at rows 4, 5"
    ):
        list(outputs(model, Split(values, name="test"), size=3))
    with pytest.raises(
        InputError, match=r"the examples 1003 to 1005, the first at rows 1004, 1005"
    ):
        list(outputs(model, Split(values), size=3, first_row=1000))
    assert len(list(outputs(model, Split(values[:4]), size=3))) == 2


def test_one_number_an_example_is_an_output():
    out = [out for _, out in outputs(answering(lambda x: x[:, 0]), Split(torch.ones(3, 4)))]
    assert out[0].tolist() == [1, 1, 1]


def test_regression_outputs_must_have_the_shape_of_the_targets():
    from offmap.inputs import RealPredictions

    with pytest.raises(InputError, match=r"shaped like the targets, \[4\], got \[4, 1\]"):
        RealPredictions(torch.ones(4, 1), torch.ones(4))
    both = (torch.tensor([1.0, 2.0, 5.0]), torch.tensor([1.0, 4.0, 2.0]))
    assert RealPredictions(*both).error.tolist() == [0, 4, 9]
    assert RealPredictions(*(v[:, None] for v in both)).error.tolist() == [0, 4, 9]
