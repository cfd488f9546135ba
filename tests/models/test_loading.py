"""Models from factories, and weights from files that are not trusted."""

import pickle
import sys
import textwrap

import pytest
import safetensors.torch
import torch
from torch import nn

from offmap.attempt import InputError
from offmap.models import MLP, load_model, load_weights

SETTINGS = {"inputs": 3, "hidden": (4,), "outputs": 2}


@pytest.fixture
def model():
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(0)
        return MLP(**SETTINGS)


def fresh():
    """The same network with other weights."""
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(1)
        return MLP(**SETTINGS)


def same(one, other):
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def save_safetensors(state, path):
    safetensors.torch.save_file(state, path)


def save_legacy(state, path):
    torch.save(state, path, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt", "w.csv"])
@pytest.mark.parametrize("save", [save_safetensors, torch.save, save_legacy])
def test_the_content_decides_not_the_name(tmp_path, model, save, name):
    save(model.state_dict(), tmp_path / name)
    other = fresh()
    assert not same(model, other)
    load_weights(other, tmp_path / name)
    assert same(model, other)


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
@pytest.mark.parametrize("save", [torch.save, save_legacy])
def test_pickles_are_refused_and_never_run(tmp_path, model, save, name):
    save({"w": torch.ones(2), "bomb": Bomb(tmp_path / "exploded")}, tmp_path / name)
    with pytest.raises(InputError, match=r"got a pickle.*can run code.*--allow-pickle"):
        load_weights(model, tmp_path / name)
    assert not (tmp_path / "exploded").exists()


def test_plain_pickles_are_refused_and_never_run(tmp_path, model):
    (tmp_path / "w.safetensors").write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
    with pytest.raises(InputError, match=r"cannot be read|got a pickle"):
        load_weights(model, tmp_path / "w.safetensors")
    assert not (tmp_path / "exploded").exists()


def test_a_pickled_model_gives_its_weights_where_pickles_are_allowed(tmp_path, model):
    torch.save(model, tmp_path / "w.pt")
    other = fresh()
    with pytest.raises(InputError, match=r"a pickle that asks for \S*MLP, which can run code"):
        load_weights(other, tmp_path / "w.pt")
    load_weights(other, tmp_path / "w.pt", allow_pickle=True)
    assert same(model, other)


def test_checkpoints_are_opened_and_say_so(tmp_path, model):
    checkpoint = {"state_dict": model.state_dict(), "epoch": 3, "optimizer": {"lr": 0.1}}
    torch.save(checkpoint, tmp_path / "w.pt")
    other = fresh()
    with pytest.warns(UserWarning, match="took the weights under 'state_dict' of the checkpoint"):
        load_weights(other, tmp_path / "w.pt")
    assert same(model, other)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "module._orig_mod."])
def test_prefixes_of_wrappers_are_taken_off_and_say_so(tmp_path, model, prefix):
    torch.save({prefix + k: v for k, v in model.state_dict().items()}, tmp_path / "w.pt")
    other = fresh()
    with pytest.warns(UserWarning, match=f"took '{prefix}' off the name of every weight"):
        load_weights(other, tmp_path / "w.pt")
    assert same(model, other)


def test_a_prefix_that_the_model_has_itself_stays(tmp_path, model):
    wrapped = nn.ModuleDict({"module": model})
    torch.save(wrapped.state_dict(), tmp_path / "w.pt")
    other = nn.ModuleDict({"module": fresh()})
    load_weights(other, tmp_path / "w.pt")
    assert same(wrapped, other)


def test_what_is_ambiguous_is_refused(tmp_path, model):
    torch.save({"state_dict": model.state_dict(), "model": model.state_dict()}, tmp_path / "w.pt")
    with pytest.raises(InputError, match="expected tensors by name, got state_dict, model"):
        load_weights(model, tmp_path / "w.pt")
    for value, said in ((torch.ones(2), "Tensor"), ({}, "OrderedDict|dict|got :"), ([1], "list")):
        torch.save(value, tmp_path / "w.pt")
        with pytest.raises(InputError, match=f"expected tensors by name, got.*({said})?"):
            load_weights(model, tmp_path / "w.pt")


def test_weights_of_another_model_are_refused_in_one_sentence(tmp_path, model):
    torch.save({f"old.{k}": v for k, v in model.state_dict().items()}, tmp_path / "w.pt")
    want = (r"it lacks 4 of 4 \(body.1.weight, body.1.bias, head.weight, ...\) and has 4 that the "
            r"model has not \(old.body.1.weight, ")  # fmt: skip
    with pytest.raises(InputError, match=want):
        load_weights(model, tmp_path / "w.pt")
    torch.save({f"module.{k}x": v for k, v in model.state_dict().items()}, tmp_path / "w.pt")
    with pytest.raises(InputError, match=r"has not \(module.body.1.weightx, "):
        load_weights(model, tmp_path / "w.pt")
    part = {k: v for k, v in model.state_dict().items() if k != "head.bias"}
    torch.save(part, tmp_path / "w.pt")
    with pytest.raises(InputError, match=r"got others: it lacks 1 of 4 \(head.bias\)$"):
        load_weights(model, tmp_path / "w.pt")
    torch.save(MLP(3, (5,), 2).state_dict(), tmp_path / "w.pt")
    with pytest.raises(
        InputError, match=r"expected 'body.1.weight' of shape \(4, 3\), got \(5, 3\)"
    ):
        load_weights(model, tmp_path / "w.pt")


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_and_change_nothing(tmp_path, model, bad):
    state = {k: v.clone() for k, v in model.state_dict().items()}
    state["head.weight"][0, :2] = bad
    save_safetensors(state, tmp_path / "w.safetensors")
    other, untouched = fresh(), fresh()
    with pytest.raises(InputError, match=r"got 2 numbers that are not, of 8 in 'head.weight'"):
        load_weights(other, tmp_path / "w.safetensors")
    assert same(other, untouched)


@pytest.mark.parametrize("save", [save_safetensors, torch.save, save_legacy])
@pytest.mark.parametrize("share", [0.003, 0.1, 0.5, 0.9, 0.999])
def test_truncated_files_are_refused(tmp_path, model, save, share):
    save(model.state_dict(), tmp_path / "w")
    whole = (tmp_path / "w").read_bytes()
    (tmp_path / "w").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError):
        load_weights(fresh(), tmp_path / "w")


def test_strange_files_are_refused(tmp_path, model):
    with pytest.raises(InputError, match="expected a file of weights, got none of that name"):
        load_weights(model, tmp_path / "none.pt")
    for content in (b"", b"hello there, not weights", b"PK\x03\x04 broken"):
        (tmp_path / "w.pt").write_bytes(content)
        with pytest.raises(InputError, match=r"w\.pt"):
            load_weights(model, tmp_path / "w.pt")


# ------------------------------------------------------------------------------------- factories


@pytest.fixture
def write(tmp_path):
    def write(text, name="mymodel.py"):
        path = tmp_path / name
        path.write_text(textwrap.dedent(text))
        return path

    return write


def test_factories_of_packages(tmp_path, model):
    torch.save(model.state_dict(), tmp_path / "w.pt")
    got = load_model("offmap.models.mlp:MLP", tmp_path / "w.pt", parameters=SETTINGS)
    assert same(got, model)
    assert isinstance(load_model("torch.nn:Identity"), nn.Identity)


def test_factories_in_the_current_directory(write, tmp_path, monkeypatch):
    write(
        "import torch\n\ndef build(n=2):\n    return torch.nn.Linear(n, n)\n", "offmap_test_here.py"
    )
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    assert load_model("offmap_test_here:build", parameters={"n": 3}).in_features == 3
    assert sys.path == before
    monkeypatch.delitem(sys.modules, "offmap_test_here")


def test_factories_in_files_and_what_lies_beside_them(write):
    write("WIDTH = 7\n", "offmap_test_beside.py")
    path = write(
        """
        from dataclasses import dataclass
        import torch
        from offmap_test_beside import WIDTH

        @dataclass
        class Settings:
            width: "int" = WIDTH

        class Net(torch.nn.Linear):
            def __init__(self):
                super().__init__(Settings().width, 2)

            @classmethod
            def small(cls):
                return cls()
        """
    )
    before = list(sys.path)
    assert load_model(f"{path}:Net").in_features == 7
    assert load_model(f"{path}:Net.small").in_features == 7
    assert sys.path == before
    del sys.modules["offmap_test_beside"]


def test_a_file_that_changed_is_read_again(write):
    for width in (2, 3):
        path = write(f"import torch\nbuild = lambda: torch.nn.Linear({width}, 1)\n")
        assert load_model(f"{path}:build").in_features == width


def test_files_of_one_name_are_told_apart(tmp_path, write):
    (tmp_path / "other").mkdir()
    one = write("import torch\nbuild = lambda: torch.nn.Linear(1, 1)\n")
    two = write("import torch\nbuild = lambda: torch.nn.Linear(2, 1)\n", "other/mymodel.py")
    assert [load_model(f"{path}:build").in_features for path in (one, two)] == [1, 2]


def test_factories_that_fail_are_named_with_their_error(write):
    path = write(
        """
        def broken(size=3):
            raise RuntimeError("no such size: " + str(size))

        def nothing():
            return None

        class Plain: pass

        def its_class():
            return Plain

        number = 3
        """
    )
    with pytest.raises(InputError, match=r"mymodel.py:broken' cannot be built: .*no such size: 4"):
        load_model(f"{path}:broken", parameters={"size": 4})
    with pytest.raises(InputError, match=r"TypeError: .*unexpected keyword argument 'depth'"):
        load_model(f"{path}:broken", parameters={"depth": 4})
    with pytest.raises(InputError, match="expected it to build a torch module, got NoneType"):
        load_model(f"{path}:nothing")
    with pytest.raises(
        InputError, match="expected it to build a torch module, got the class Plain"
    ):
        load_model(f"{path}:its_class")
    with pytest.raises(InputError, match="expected a class or a function, got int"):
        load_model(f"{path}:number")
    with pytest.raises(
        InputError, match=r"expected 'missing' in .*mymodel.py, got none of that name"
    ):
        load_model(f"{path}:missing")


def test_places_that_are_not_there(write, tmp_path):
    with pytest.raises(
        InputError, match=r"'package.module:name' or 'path/to/file.py:name', got 'x'"
    ):
        load_model("x")
    with pytest.raises(InputError, match=r"module 'no.such.module' cannot be read: ModuleNotFound"):
        load_model("no.such.module:build")
    with pytest.raises(InputError, match="expected a Python file, got none of that name"):
        load_model(f"{tmp_path / 'none.py'}:build")
    path = write("import torch\n1 / 0\n")
    with pytest.raises(InputError, match=r"mymodel.py cannot be read: ZeroDivisionError"):
        load_model(f"{path}:build")
    with pytest.raises(InputError, match="ZeroDivisionError"):  # nothing half-made is remembered
        load_model(f"{path}:build")
