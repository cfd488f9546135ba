"""The content of a file says what it is; what is not known is refused."""

import pickle

import numpy as np
import pytest
import torch

from offmap.attempt import InputError
from offmap.run import TrainingRun
from offmap.sources import load_split


def test_missing_files(tmp_path):
    with pytest.raises(InputError, match=r"none.npz: expected a file or a folder, got none"):
        load_split(tmp_path / "none.npz")


def test_empty_files(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"")
    with pytest.raises(InputError, match="expected data, got an empty file"):
        load_split(tmp_path / "a.npz")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickles_are_refused_whatever_their_name(tmp_path, protocol):
    (tmp_path / "a.npz").write_bytes(pickle.dumps([1, 2], protocol=protocol))
    with pytest.raises(InputError, match="got a pickle, which can run code"):
        load_split(tmp_path / "a.npz")


def test_checkpoints_are_no_data(tmp_path):
    torch.save({"w": torch.ones(2)}, tmp_path / "a.npz")
    with pytest.raises(InputError, match="if these are weights, they are no data"):
        load_split(tmp_path / "a.npz")


@pytest.mark.parametrize(
    "head", [b"\x89HDF\r\n\x1a\n", b"\x1f\x8b\x08\x00", b"abc\0def", b"\xff\xfe\x00"]
)
def test_unknown_bytes_are_shown(tmp_path, head):
    (tmp_path / "a.csv").write_bytes(head)
    with pytest.raises(InputError, match=f"begins with the bytes {head[:3].hex(' ')}"):
        load_split(tmp_path / "a.csv")


def test_a_character_cut_by_the_head_is_still_text(tmp_path):
    header = "a" * 4095 + "é,y\n"
    (tmp_path / "a.csv").write_text(header + "1,2\n", encoding="utf-8")
    assert load_split(tmp_path / "a.csv").inputs.tolist() == [[1.0]]


def test_splits_that_number_their_classes_differently_are_no_run(tmp_path):
    (tmp_path / "train.csv").write_text("a,y\n1,ant\n2,bee\n")
    (tmp_path / "test.csv").write_text("a,y\n1,bee\n")
    train, test = (load_split(tmp_path / f"{name}.csv", name=name) for name in ("train", "test"))
    model = torch.nn.Linear(1, 2)
    with pytest.raises(InputError, match="test: expected the classes that train has"):
        TrainingRun(model, train=train, test=test)
    test = load_split(tmp_path / "test.csv", class_names=train.class_names)
    run = TrainingRun(model, train=train, test=test)
    assert run.class_names == ("ant", "bee")
    assert run.test.targets.tolist() == [1]
    assert TrainingRun(model, test=test, class_names=("A", "B")).class_names == ("A", "B")


def test_class_names_survive_every_way_of_taking_a_part(tmp_path):
    (tmp_path / "a.csv").write_text("a,y\n1,ant\n2,bee\n")
    split = load_split(tmp_path / "a.csv")
    parts = (
        split.take(torch.tensor([1])), split.part(0, 1), split.renamed("b"),
        split.window(0, 1), split.with_targets(torch.tensor([0, 0])), next(split.batches(1)),
    )  # fmt: skip
    assert all(part.class_names == ("ant", "bee") for part in parts)


def test_paths_may_be_strings(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((2, 3)))
    assert len(load_split(str(tmp_path / "x.npy"))) == 2
