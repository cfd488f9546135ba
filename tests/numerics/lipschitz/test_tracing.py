"""Graphs of networks: the same function, or a refusal that names the layer."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from offmap.models.cnn import CNN
from offmap.models.exported import ExportedModel
from offmap.models.mlp import MLP
from offmap.models.resnet import ResNet
from offmap.models.transformer import Transformer
from offmap.numerics.lipschitz import global_bound, read_graph
from offmap.numerics.lipschitz.operators import Affine, Average, Convolution, Maximum


def fresh(build, seed=0):
    """A network in evaluation mode whose batch norms are no identities."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.2, 3)
                module.weight.data.normal_()
                module.bias.data.normal_()
    return model.double().eval()


class Arithmetic(nn.Module):
    """Normalizes by hand, and adds branches."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 3)
        self.register_buffer("mean", torch.tensor([[0.1, 0.2, 0.3, 0.4]]))

    def forward(self, x):
        x = (x - self.mean) / 0.5
        y = functional.relu(self.first(x), inplace=True)
        y += x
        z = 1 - 2 * y
        z = z + torch.ones(4)
        z = 3 - (-z)
        return self.second(input=z.add(1).tanh_())


def layers():
    return nn.Sequential(
        nn.Identity(),
        nn.Conv2d(2, 4, 3, stride=2, padding=2, dilation=2), nn.BatchNorm2d(4), nn.LeakyReLU(0.2),
        nn.Conv2d(4, 4, 3, padding="same", groups=2), nn.ELU(), nn.AvgPool2d(3, 2),
        nn.Conv2d(4, 6, 1, bias=False), nn.GELU(), nn.MaxPool2d(3, 1, padding=1), nn.SiLU(),
        nn.AdaptiveAvgPool2d((2, 2)), nn.Dropout2d(0.3), nn.Flatten(), nn.Linear(24, 5),
        nn.BatchNorm1d(5), nn.Softplus(2.0), nn.Sigmoid(), nn.Unflatten(1, (5, 1)),
    )  # fmt: skip


def sequence():
    return nn.Sequential(
        nn.Conv1d(2, 3, 3, padding=1), nn.BatchNorm1d(3), nn.Tanh(), nn.AvgPool1d(2),
        nn.Linear(4, 6), nn.ReLU(), nn.Flatten(), nn.Linear(18, 2),
    )  # fmt: skip


class MeanPool(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 4, 3), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.conv(x).relu().mean(dim=(2, 3)).squeeze())


CASES = [
    (lambda: MLP(12, (7, 5), 3), (12,)),
    (lambda: MLP(16, (), 3), (1, 4, 4)),
    (lambda: CNN(1, 4, width=3, size=8), (1, 8, 8)),
    (lambda: CNN(3, 4, width=3, size=28), (3, 28, 28)),
    (lambda: ResNet(2, 4, width=3, blocks=2), (2, 16, 16)),
    (Arithmetic, (4,)),
    (layers, (2, 17, 17)),
    (sequence, (2, 8)),
    (MeanPool, (1, 6, 6)),
]


@pytest.mark.parametrize(("build", "shape"), CASES)
def test_a_graph_is_the_same_function(build, shape, generator):
    model = fresh(build)
    inputs = torch.randn(6, *shape, dtype=torch.double, generator=generator)
    graph = read_graph(model, inputs[:1])
    with torch.no_grad():
        torch.testing.assert_close(graph(inputs), model(inputs), rtol=1e-10, atol=1e-10)
    assert graph.nodes[-1].shape == model(inputs).shape[1:]


def test_batch_norm_is_taken_into_the_weight():
    model = fresh(lambda: CNN(1, 4, width=3, size=8))
    graph = read_graph(model, torch.zeros(1, 1, 8, 8, dtype=torch.double))
    kinds = [type(node.step) for node in graph.nodes if isinstance(node.step, Affine | Maximum)]
    assert kinds[:2] == [Convolution, Maximum]  # pooled before the activation: it never falls
    assert sum(kind is Convolution for kind in kinds) == 3
    assert Average in kinds


def test_a_maximum_stays_behind_what_falls():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.SiLU(), nn.MaxPool2d(2)).eval()
    steps = [node.step for node in read_graph(model, torch.zeros(1, 1, 6, 6)).nodes]
    assert isinstance(steps[-1], Maximum)


def test_float32_and_programs_are_read():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = CNN(1, 4, width=3, size=8).eval()
    example = torch.rand(1, 1, 8, 8)
    program = torch.export.export(
        model, (example.repeat(2, 1, 1, 1),), dynamic_shapes=({0: torch.export.Dim("n")},)
    )
    expected = global_bound(model, example)
    assert global_bound(ExportedModel(program), example) == pytest.approx(expected, rel=1e-9)


def test_hooks_and_modes_and_gradients_are_left_alone():
    model = fresh(lambda: MLP(3, (4,), 2))
    read_graph(model, torch.zeros(1, 3, dtype=torch.double))
    assert all(not module._forward_hooks for module in model.modules())
    assert all(not module._forward_pre_hooks for module in model.modules())
    assert all(weight.grad is None for weight in model.parameters())


class Peeks(nn.Module):
    def forward(self, x):
        return x * 2 if x.sum() > 0 else x


class Reads(nn.Module):
    def forward(self, x):
        return x * x[0, 0].item()


class Mixes(nn.Module):
    def forward(self, x):
        return x * x.sigmoid()


class Counts(nn.Module):
    """Its output depends on the other examples."""

    def forward(self, x):
        return x - x.mean(dim=0)


class Hides(nn.Module):
    """A part that torch's functions do not show."""

    def __init__(self):
        super().__init__()
        self.scripted = torch.jit.trace(nn.Linear(3, 3), torch.zeros(2, 3))

    def forward(self, x):
        return x + self.scripted(x)


class Writes(nn.Module):
    """Changes a value after a view of it was taken."""

    def forward(self, x):
        y = 1 * x
        z = y.view(-1, 3)
        y.mul_(3.0)
        return z + 1


class Assigns(nn.Module):
    def forward(self, x):
        y = x.clone()
        y[:, 0] = 0
        return y


REFUSED = [
    (lambda: nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2)), "LayerNorm at '1'"),
    (lambda: nn.Sequential(nn.Linear(3, 4), nn.Softmax(1)), "Softmax at '1'"),
    (lambda: nn.Sequential(nn.Unflatten(1, (3, 1)), nn.Conv1d(3, 2, 1, bias=False), nn.Flatten(),
                           nn.InstanceNorm1d(2)), "InstanceNorm1d at '3'"),
    (Peeks, r"__gt__|gt at|sum|Peeks"),
    (Reads, "Reads"),
    (Mixes, "Mixes"),
    (Counts, "Counts"),
    (Writes, "not that of its layers"),
    (Assigns, "Assigns"),
]  # fmt: skip


@pytest.mark.parametrize(("build", "culprit"), REFUSED)
def test_what_cannot_be_bounded_is_refused_by_name(build, culprit):
    with pytest.raises(ValueError, match=culprit):
        read_graph(build().eval(), torch.zeros(1, 3))


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_hidden_layers_are_refused():
    with pytest.raises(ValueError, match="got add"):
        read_graph(Hides().eval(), torch.zeros(1, 3))


def test_attention_is_refused():
    model = Transformer(5, 4, 8, 2, 1).eval()
    with pytest.raises(ValueError, match=r"floating-point numbers, got \[1, 4\] of torch.int64"):
        read_graph(model, torch.zeros(1, 4, dtype=torch.long))


def test_training_mode_is_refused():
    model = nn.Sequential(nn.Linear(3, 2), nn.Dropout())
    model.eval()[1].train()
    with pytest.raises(ValueError, match="evaluation mode, got '1' in training mode"):
        read_graph(model, torch.zeros(1, 3))


def test_a_model_that_gives_no_tensor_is_refused():
    class Pair(nn.Module):
        def forward(self, x):
            return x, x

    with pytest.raises(ValueError, match="gives a tensor, got tuple"):
        read_graph(Pair().eval(), torch.zeros(1, 3))
