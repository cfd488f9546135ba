"""Programs of torch.export as ordinary models."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.export import Dim, export

from offmap.attempt import InputError
from offmap.models import CNN, ExportedModel, Transformer, load_exported, load_weights
from offmap.passes import evaluating, outputs, weight_layers
from offmap.run import Split

# torch 2.13 saves and loads its own tree specifications in a way that it deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")


@pytest.fixture(scope="module")
def model():
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(0)
        return CNN(1, 5, width=4, size=8).eval()


@pytest.fixture(scope="module")
def path(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("exported") / "model.pt2"
    torch.export.save(program_of(model), path)
    return path


def program_of(model, batch=Dim("n"), inputs=None):  # noqa: B008 - a description, not a state
    inputs = torch.randn(2, 1, 8, 8) if inputs is None else inputs
    return export(model, (inputs,), dynamic_shapes=({0: batch},) if batch is not None else None)


@pytest.mark.parametrize("count", [1, 2, 7, 300])
def test_the_same_outputs_for_any_number_of_examples(model, path, count):
    loaded = load_exported(path, allow_pickle=True)
    x = torch.randn(count, 1, 8, 8)
    assert torch.equal(loaded(x), model(x))


def test_the_content_decides_not_the_name(model, path, tmp_path):
    (tmp_path / "model.txt").write_bytes(path.read_bytes())
    x = torch.randn(3, 1, 8, 8)
    assert torch.equal(load_exported(tmp_path / "model.txt", allow_pickle=True)(x), model(x))
    torch.save(model.state_dict(), tmp_path / "weights.pt2")
    with pytest.raises(
        InputError, match=r"expected a program of torch.export, got a file of torch.s"
    ):
        load_exported(tmp_path / "weights.pt2", allow_pickle=True)


def test_a_program_is_code_and_must_be_allowed(path):
    with pytest.raises(InputError, match="can run code when it is read: pass --allow-pickle"):
        load_exported(path)


def test_a_program_is_no_file_of_weights(model, path, tmp_path):
    (tmp_path / "w.safetensors").write_bytes(path.read_bytes())
    with pytest.raises(InputError, match=r"got a program of torch.export, which is a whole model"):
        load_weights(model, tmp_path / "w.safetensors", allow_pickle=True)


def test_modes_can_be_set_and_change_nothing(path):
    loaded = load_exported(path, allow_pickle=True)
    x = torch.randn(3, 1, 8, 8)
    want = loaded(x)
    assert not any(module.training for module in loaded.modules())
    loaded.train()
    assert all(module.training for module in loaded.modules())
    assert torch.equal(loaded(x), want)
    with evaluating(loaded):
        assert not any(module.training for module in loaded.modules())
        assert torch.equal(loaded(x), want)
    assert all(module.training for module in loaded.modules())
    loaded.eval()
    assert not any(module.training for module in loaded.modules())


def test_gradients_and_weights(model, path):
    loaded = load_exported(path, allow_pickle=True)
    x = torch.randn(3, 1, 8, 8)
    one, two = x.clone().requires_grad_(), x.clone().requires_grad_()
    loaded(one).square().sum().backward()
    model(two).square().sum().backward()
    assert torch.allclose(one.grad, two.grad, atol=1e-6)
    assert sum(w.numel() for w in loaded.parameters()) == sum(w.numel() for w in model.parameters())
    model.zero_grad()
    weights = {name: torch.zeros_like(w) for name, w in loaded.named_parameters()}
    assert torch.func.functional_call(loaded, weights, (x,)).abs().sum() == 0


def test_copies_and_pickles_are_independent_models(path):
    loaded = load_exported(path, allow_pickle=True)
    head = loaded.get_submodule("program.head")
    with torch.no_grad():  # the copies carry the weights of now, changed in place or replaced
        next(loaded.parameters()).mul_(2)
        head.weight = nn.Parameter(head.weight * 3)
    x = torch.randn(3, 1, 8, 8)
    want = loaded(x)
    for other in (copy.deepcopy(loaded), pickle.loads(pickle.dumps(loaded))):  # noqa: S301 - our own
        assert torch.equal(other(x), want)
        other.train().eval()
        with torch.no_grad():
            for weight in other.parameters():
                weight.zero_()
        assert torch.equal(loaded(x), want)


def test_no_layers_are_shown(path):
    """Its parts hold weights but are never called: hooks on them would wait forever."""
    assert weight_layers(load_exported(path, allow_pickle=True)) == ()


def test_outputs_by_batches(model, path):
    loaded = load_exported(path, allow_pickle=True)
    split = Split(torch.randn(11, 1, 8, 8))
    with evaluating(loaded):
        got = torch.cat([out for _, out in outputs(loaded, split, size=4)])
    assert torch.allclose(got, model(split.inputs), atol=1e-6)


def test_other_shapes_and_types_are_refused(path):
    loaded = load_exported(path, allow_pickle=True)
    for bad in (torch.randn(3, 1, 7, 8), torch.randn(1, 8, 8), torch.randn(3, 1, 8, 8).double()):
        with pytest.raises(
            InputError, match=r"expects inputs \[n, 1, 8, 8\] of torch.float32, got \["
        ):
            loaded(bad)


def test_fixed_and_small_batches_are_refused(model):
    with pytest.raises(InputError, match=r"any number of examples, got one for 2: export it again"):
        ExportedModel(program_of(model, batch=None))
    with pytest.raises(InputError, match=r"batches of up to 256 examples, got one for at most 64"):
        ExportedModel(program_of(model, batch=Dim("n", min=1, max=64)))


def test_other_sizes_may_be_free():
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(0)
        text = Transformer(7, length=6, width=8, heads=2, layers=1).eval()
        tokens = torch.randint(0, 7, (2, 5))
    shapes = ({0: Dim("n"), 1: Dim("t", max=6)},)
    loaded = ExportedModel(export(text, (tokens,), dynamic_shapes=shapes))
    assert loaded.shape == (None,)
    for t in (3, 6):
        tokens = torch.arange(4 * t).reshape(4, t) % 7
        assert torch.allclose(loaded(tokens), text(tokens), atol=1e-6)


@pytest.mark.parametrize("layer", [nn.Dropout(0.5), nn.BatchNorm1d(3)])
def test_training_mode_is_refused(layer):
    net = nn.Sequential(nn.Linear(3, 3), layer).train()
    with pytest.raises(InputError, match=r"evaluation mode, got aten.(dropout|batch_norm)"):
        ExportedModel(program_of(net, inputs=torch.randn(4, 3)))
    ExportedModel(program_of(net.eval(), inputs=torch.randn(4, 3)))


def test_programs_of_several_inputs_are_refused():
    class Sum(nn.Module):
        def forward(self, a, b):
            return a + b

    program = export(Sum(), (torch.ones(2, 3), torch.ones(2, 3)))
    with pytest.raises(InputError, match=r"of one tensor .* got one of 2 inputs"):
        ExportedModel(program)


def test_broken_programs_are_refused(model, path, tmp_path):
    whole = path.read_bytes()
    for share in (0.2, 0.7, 0.99):
        (tmp_path / "m.pt2").write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(InputError, match=r"m\.pt2"):
            load_exported(tmp_path / "m.pt2", allow_pickle=True)
    sick = copy.deepcopy(model)
    sick.head.weight.data[0, 0] = float("nan")
    torch.export.save(program_of(sick), tmp_path / "m.pt2")
    with pytest.raises(InputError, match=r"got 1 numbers that are not, of 80 in 'head.weight'"):
        load_exported(tmp_path / "m.pt2", allow_pickle=True)
