"""Arrays saved by numpy come back row for row, streamed where they can be, or are refused."""

import zipfile

import numpy as np
import pytest
import torch

from offmap.attempt import InputError
from offmap.sources import PixelTable, load_split
from offmap.table import RawFile, TensorTable


@pytest.fixture
def arrays():
    random = np.random.default_rng(0)
    return {
        "x": random.normal(size=(7, 3)).astype(np.float32),
        "y": random.integers(0, 4, 7),
        "groups": random.integers(0, 2, 7),
    }


def save(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_stored_arrays_are_streamed_and_equal(tmp_path, arrays):
    split = load_split(save(tmp_path / "a.npz", **arrays), name="test")
    assert isinstance(split.table, RawFile)
    assert np.array_equal(split.inputs.numpy(), arrays["x"])
    assert split.targets.tolist() == arrays["y"].tolist()
    assert split.groups.tolist() == arrays["groups"].tolist()
    assert split.name == "test"
    rows = torch.tensor([6, 0, 1, 2, 2])
    assert np.array_equal(split.take(rows).inputs.numpy(), arrays["x"][rows.numpy()])


def test_compressed_arrays_are_held_and_equal(tmp_path, arrays):
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    split = load_split(tmp_path / "a.npz")
    assert isinstance(split.table, TensorTable)
    assert np.array_equal(split.inputs.numpy(), arrays["x"])


def test_the_content_decides_not_the_name(tmp_path, arrays):
    save(tmp_path / "a.npz", **arrays)
    (tmp_path / "a.npz").rename(tmp_path / "a.csv")
    assert np.array_equal(load_split(tmp_path / "a.csv").inputs.numpy(), arrays["x"])
    np.save(tmp_path / "x.npy", arrays["x"])
    (tmp_path / "x.npy").rename(tmp_path / "x.parquet")
    assert np.array_equal(load_split(tmp_path / "x.parquet").inputs.numpy(), arrays["x"])


@pytest.mark.parametrize("kind", ["<f4", "<f8", "<f2", "<i8", "<i4", "i1", "?"])
def test_types_are_kept(tmp_path, kind):
    array = np.arange(12).reshape(4, 3).astype(kind)
    np.save(tmp_path / "x.npy", array)
    split = load_split(tmp_path / "x.npy")
    assert split.inputs.numpy().dtype == array.dtype
    assert np.array_equal(split.inputs.numpy(), array)


@pytest.mark.parametrize("change", [np.asfortranarray, lambda x: x.astype(">f4")])
@pytest.mark.parametrize("form", ["npy", "npz"])
def test_other_orders_are_held_where_they_fit_and_refused_where_not(tmp_path, change, form):
    array = np.arange(12, dtype=np.float32).reshape(4, 3)
    path = tmp_path / f"x.{form}"
    if form == "npy":
        np.save(path, change(array))
    else:
        np.savez(path, x=change(array))
    split = load_split(path)
    assert np.array_equal(split.inputs.numpy(), array)
    assert split.inputs.is_contiguous()
    with pytest.raises(InputError, match=r"takes 48 bytes, more than the memory budget of 47"):
        load_split(path, memory=47)


def test_compressed_arrays_above_the_budget_are_refused_with_advice(tmp_path, arrays):
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=r"compressed and takes 84 bytes.*of 80: .*numpy.save"):
        load_split(tmp_path / "a.npz", memory=80)


def test_stored_arrays_above_the_budget_are_read_in_pieces(tmp_path, arrays):
    split = load_split(save(tmp_path / "a.npz", **arrays), memory=80)
    got = torch.cat([batch.inputs for batch in split.batches(2)])
    assert np.array_equal(got.numpy(), arrays["x"])
    with pytest.raises(InputError, match="memory budget of 80"):
        _ = split.inputs


def test_names_of_the_split_find_arrays(tmp_path, arrays):
    x = arrays["x"]
    path = save(tmp_path / "a.npz", x_train=x[:5], y_train=arrays["y"][:5], X_test=x[5:],
                test_labels=arrays["y"][5:, None])  # fmt: skip
    train, test = (load_split(path, name=name) for name in ("train", "test"))
    assert np.array_equal(train.inputs.numpy(), x[:5])
    assert np.array_equal(test.inputs.numpy(), x[5:])
    assert test.targets.tolist() == arrays["y"][5:].tolist()
    given = load_split(path, inputs="X_test", targets="test_labels")
    assert torch.equal(given.inputs, test.inputs)
    with pytest.raises(
        InputError, match=r"expected inputs under a usual name.*'x_train', 'y_train'"
    ):
        load_split(path, name="shift")


def test_plain_names_come_before_names_of_the_split(tmp_path, arrays):
    path = save(tmp_path / "a.npz", **arrays, x_test=arrays["x"][:2], y_test=arrays["y"][:2])
    assert len(load_split(path, name="test")) == 7


def test_unknown_names_are_refused_and_the_known_are_listed(tmp_path, arrays):
    path = save(tmp_path / "a.npz", **arrays)
    for what in ("inputs", "targets", "groups"):
        with pytest.raises(InputError, match=r"expected 'z', got only 'x', 'y', 'groups'"):
            load_split(path, **{what: "z"})


def test_arrays_that_may_be_targets_are_not_passed_over(tmp_path, arrays):
    path = save(tmp_path / "a.npz", x=arrays["x"], truth=arrays["y"])
    with pytest.raises(InputError, match=r"got 'truth': name them with targets="):
        load_split(path)
    assert load_split(path, targets="truth").targets.tolist() == arrays["y"].tolist()
    assert load_split(path, task="reconstruction").known_targets is None
    assert load_split(save(tmp_path / "b.npz", x=arrays["x"])).known_targets is None


def test_npy_takes_targets_and_groups_from_files_beside_it(tmp_path, arrays, monkeypatch):
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    split = load_split(tmp_path / "x.npy", targets="y.npy", groups=str(tmp_path / "groups.npy"))
    assert split.targets.tolist() == arrays["y"].tolist()
    assert split.groups.tolist() == arrays["groups"].tolist()
    with pytest.raises(InputError, match=r"targets in a .npy file of their own, got 'z.npy'"):
        load_split(tmp_path / "x.npy", targets="z.npy")
    with pytest.raises(InputError, match="it is one array"):
        load_split(tmp_path / "x.npy", inputs="x")


def test_lengths_must_agree(tmp_path, arrays):
    path = save(tmp_path / "a.npz", x=arrays["x"], y=arrays["y"][:6])
    with pytest.raises(InputError, match=r"got 6 targets for 7 inputs"):
        load_split(path)


def test_empty_arrays_and_single_numbers_are_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.empty((0, 3), np.float32))
    with pytest.raises(InputError, match="at least one example, got none"):
        load_split(tmp_path / "x.npy")
    np.save(tmp_path / "x.npy", np.float32(3))
    with pytest.raises(InputError, match="an array of rows, got a single number"):
        load_split(tmp_path / "x.npy")


def test_object_arrays_are_refused_and_never_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "exploded"), "w"))

    array = np.array([Bomb(), None], dtype=object)
    np.save(tmp_path / "x.npy", array, allow_pickle=True)
    np.savez(tmp_path / "x.npz", x=array)
    np.savez(tmp_path / "y.npz", x=np.zeros((2, 3), np.float32), y=array)
    for name in ("x.npy", "x.npz", "y.npz"):
        with pytest.raises(InputError, match="object array, which is a pickle"):
            load_split(tmp_path / name)
    assert not (tmp_path / "exploded").exists()


def test_strange_types_are_refused(tmp_path):
    for array in (np.zeros((2, 3), np.complex64), np.array(["a", "b"]), np.zeros(2, "M8[s]")):
        np.save(tmp_path / "x.npy", array)
        with pytest.raises(InputError, match="expected numbers of up to 64 bits"):
            load_split(tmp_path / "x.npy")
    np.save(tmp_path / "x.npy", np.zeros((2, 3), np.uint16))
    with pytest.raises(InputError, match="uint16, whose scale is not known"):
        load_split(tmp_path / "x.npy")
    assert load_split(tmp_path / "x.npy", task="tokens").inputs.dtype == torch.int64


@pytest.mark.parametrize("keep", [7, 40, 127, 128, 150, -1])
def test_truncated_npy_is_refused(tmp_path, arrays, keep):
    np.save(tmp_path / "x.npy", arrays["x"])
    whole = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(whole[:keep])
    with pytest.raises(InputError, match=r"x\.npy"):
        load_split(tmp_path / "x.npy")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("saver", [np.savez, np.savez_compressed])
def test_truncated_npz_is_refused(tmp_path, arrays, share, saver):
    saver(tmp_path / "a.npz", **arrays)
    whole = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=r"a\.npz.* cannot be read"):
        load_split(tmp_path / "a.npz")


def test_damaged_compressed_members_are_refused(tmp_path):
    x = np.random.default_rng(0).normal(size=(200, 5)).astype(np.float32)
    np.savez_compressed(tmp_path / "a.npz", x=x)
    damaged = bytearray((tmp_path / "a.npz").read_bytes())
    damaged[2000] ^= 0xFF
    (tmp_path / "a.npz").write_bytes(damaged)
    with pytest.raises(InputError, match=r"a\.npz, 'x' cannot be read"):
        load_split(tmp_path / "a.npz")


def test_archives_without_arrays_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(InputError, match=r"expected arrays in the archive, got 'readme.txt'"):
        load_split(tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "b.npz", "w"):
        pass
    with pytest.raises(InputError, match="got nothing"):
        load_split(tmp_path / "b.npz")


@pytest.mark.data
def test_mnist(data_folder):
    split = load_split(data_folder / "mnist.npz", name="test")
    assert isinstance(split.table, PixelTable)
    assert split.shape == (1, 28, 28)
    with np.load(data_folder / "mnist.npz") as file:
        x, y = file["x_test"], file["y_test"]
    few = split.part(5000, 5010)
    assert np.array_equal((few.inputs * 255).round().numpy()[:, 0], x[5000:5010])
    assert split.targets.tolist() == y.tolist()
    assert 0 <= few.inputs.min() < few.inputs.max() <= 1
    other = load_split(data_folder / "mnist.npz", inputs="x_test", targets="y_test")
    assert torch.equal(other.part(0, 9).inputs, split.part(0, 9).inputs)
