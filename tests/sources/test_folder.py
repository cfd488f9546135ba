"""A folder of images for each class."""

import numpy as np
import pytest
import torch
from PIL import Image

from offmap.attempt import InputError
from offmap.sources import load_split


@pytest.fixture
def root(tmp_path):
    random = np.random.default_rng(0)
    root = tmp_path / "images"
    for name, count in (("dog", 2), ("cat", 3)):
        (root / name).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(random.integers(0, 256, (6, 5, 3), dtype=np.uint8)).save(
                root / name / f"{i}.png"
            )
    return root


def test_classes_and_files_in_sorted_order(root):
    split = load_split(root)
    assert split.class_names == ("cat", "dog")
    assert split.targets.tolist() == [0, 0, 0, 1, 1]
    files = [root / "cat" / f"{i}.png" for i in range(3)] + [
        root / "dog" / f"{i}.png" for i in (0, 1)
    ]
    want = np.stack([np.asarray(Image.open(file)) for file in files])
    assert torch.equal(split.inputs, torch.from_numpy(want).permute(0, 3, 1, 2).float() / 255)


def test_classes_are_numbered_as_in_another_split(root):
    split = load_split(root, class_names=("dog", "emu", "cat"))
    assert split.targets.tolist() == [2, 2, 2, 0, 0]
    with pytest.raises(InputError, match="a label among 'dog', got 'cat' at row 0"):
        load_split(root, class_names=("dog",))


def test_other_files_and_hidden_ones_are_passed_over(root):
    (root / "cat" / "notes.txt").write_text("hello")
    (root / "cat" / ".hidden.png").write_bytes(b"")
    (root / ".cache").mkdir()
    (root / "labels.csv").write_text("a,b\n")
    split = load_split(root)
    assert len(split) == 5
    assert split.class_names == ("cat", "dog")
    assert split.targets.max() == 1


def test_images_must_agree(root):
    Image.new("RGB", (9, 9)).save(root / "dog" / "5.png")
    with pytest.raises(
        InputError, match=r"dog/5.png: expected uint8 of shape \(6, 5, 3\) as in .*0.png"
    ):
        load_split(root)
    Image.new("L", (5, 6)).save(root / "dog" / "5.png")
    with pytest.raises(InputError, match=r"dog/5.png: expected .* got uint8 of shape \(6, 5, 1\)"):
        load_split(root)


def test_unreadable_images_are_named(root):
    whole = (root / "cat" / "1.png").read_bytes()
    for broken in (b"", b"not an image", whole[: len(whole) // 2]):
        (root / "cat" / "1.png").write_bytes(broken)
        with pytest.raises(InputError, match=r"cat/1.png cannot be read"):
            load_split(root)


def test_folders_without_classes_or_images_are_refused(tmp_path, root):
    with pytest.raises(
        InputError, match=r"a folder of images for each class, got '0.png', '1.png'"
    ):
        load_split(root / "dog")
    with pytest.raises(InputError, match=r"for each class, got nothing"):
        (tmp_path / "none").mkdir()
        load_split(tmp_path / "none")
    (tmp_path / "none" / "cat").mkdir()
    with pytest.raises(InputError, match=r"expected images in 'cat', got none"):
        load_split(tmp_path / "none")
    with pytest.raises(InputError, match="no name of targets for a folder, got 'y'"):
        load_split(root, targets="y")
