"""Data sets of torch and Hugging Face."""

import gc

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from offmap.attempt import InputError
from offmap.sources import PixelTable, from_dataset, from_hugging_face


class Items(Dataset):
    def __init__(self, items, **attributes):
        self.items = items
        self.reads = [0] * len(items)
        vars(self).update(attributes)

    def __len__(self):
        return len(self.items)

    def __getitem__(self, row):
        self.reads[row] += 1
        item = self.items[row]
        return item() if callable(item) else item


def test_tensors():
    x, y = torch.randn(9, 3), torch.arange(9)
    split = from_dataset(TensorDataset(x, y), name="test")
    assert torch.equal(split.inputs, x)
    assert split.targets.tolist() == y.tolist()
    assert split.name == "test"
    real = from_dataset(TensorDataset(x, y[:, None] / 2))
    assert torch.equal(real.targets, y[:, None] / 2)


def test_images_are_decoded_once():
    raw = np.random.default_rng(0).integers(0, 256, (80, 6, 5, 3), dtype=np.uint8)
    data = Items([(Image.fromarray(x), i % 3) for i, x in enumerate(raw)], classes=["a", "b", "c"])
    split = from_dataset(data)
    assert isinstance(split.table, PixelTable)
    assert torch.equal(split.inputs, torch.from_numpy(raw).permute(0, 3, 1, 2).float() / 255)
    assert split.class_names == ("a", "b", "c")
    assert split.inputs.shape == (80, 3, 6, 5)
    assert sum(data.reads) == 80 + 2 * 32 + 1
    assert max(data.reads[1:]) == 3


def test_dicts_groups_and_bare_inputs():
    items = [{"image": torch.ones(2) * i, "label": "ab"[i % 2], "group": i} for i in range(4)]
    split = from_dataset(Items(items))
    assert split.targets.tolist() == [0, 1, 0, 1]
    assert split.groups.tolist() == [0, 1, 2, 3]
    assert split.inputs[3].tolist() == [3, 3]
    with pytest.raises(InputError, match=r"under a usual name.*got 'a'"):
        from_dataset(Items([{"a": 1.0}]))
    with pytest.raises(InputError, match="got 'truth': name them with targets="):
        from_dataset(Items([{"x": 1.0, "truth": 1}]))
    three = from_dataset(Items([(torch.ones(2), 1, 5), (torch.ones(2), 0, 6)]))
    assert three.groups.tolist() == [5, 6]
    assert from_dataset(Items([torch.ones(2)])).known_targets is None
    with pytest.raises(InputError, match=r"got 4 members"):
        from_dataset(Items([(1, 2, 3, 4)]))


def test_large_data_go_to_a_file(tmp_path):
    x = torch.randn(9, 3)
    split = from_dataset(TensorDataset(x, torch.arange(9)), memory=100, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    assert torch.equal(torch.cat([batch.inputs for batch in split.batches(4)]), x)
    del split
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_random_augmentation_is_refused():
    """A flip with probability one half on rows that differ: caught but for a chance of 2^-32."""
    generator = torch.Generator().manual_seed(0)

    def flipped():
        x = torch.arange(4.0)
        return (x.flip(0) if torch.rand((), generator=generator) < 0.5 else x), 0

    with pytest.raises(
        InputError, match=r"the same values each time .* switch random augmentation off"
    ):
        from_dataset(Items([flipped] * 200))


def test_missing_values_are_no_random_augmentation():
    """NaN differs from itself, but not from one reading to the next."""
    split = from_dataset(Items([(torch.tensor([float("nan"), 1.0]), 0)] * 3))
    assert split.inputs.isnan().sum() == 3


def test_what_is_no_map_style_data_set_is_refused():
    class Stream(IterableDataset):
        def __iter__(self):
            yield from ()

    with pytest.raises(InputError, match="data set Stream: expected a data set with a length"):
        from_dataset(Stream())
    with pytest.raises(InputError, match="at least one example"):
        from_dataset(Items([]))


def test_items_that_raise_or_differ_are_named_by_row():
    def broken():
        raise KeyError("lost")

    with pytest.raises(InputError, match="data set Items, row 1 cannot be read: KeyError: 'lost'"):
        from_dataset(Items([(torch.ones(2), 0), broken]))
    with pytest.raises(InputError, match=r"row 1: expected float32 of shape \(2,\)"):
        from_dataset(Items([(torch.ones(2), 0), (torch.ones(3), 0)]))
    with pytest.raises(InputError, match="row 1: expected an array, a tensor"):
        from_dataset(Items([(torch.ones(2), 0), ("hello", 0)]))
    with pytest.raises(InputError, match="targets cannot be read"):
        from_dataset(Items([(torch.ones(2), torch.ones(1)), (torch.ones(2), torch.ones(2))]))
    with pytest.raises(InputError, match="got none at row 1"):
        from_dataset(Items([(torch.ones(2), 0), (torch.ones(2), None)]))


@pytest.fixture
def datasets(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    return pytest.importorskip("datasets", reason="the library `datasets` is not installed")


def test_hugging_face_images(datasets):
    raw = np.random.default_rng(0).integers(0, 256, (300, 6, 5), dtype=np.uint8)
    features = datasets.Features(
        image=datasets.Image(), label=datasets.ClassLabel(names=["cat", "dog"])
    )
    data = datasets.Dataset.from_dict(
        {"image": [Image.fromarray(x) for x in raw], "label": [i % 2 for i in range(300)]},
        features=features,
    )
    split = from_hugging_face(data, name="test")
    assert split.shape == (1, 6, 5)
    assert np.array_equal((split.inputs * 255).round().numpy()[:, 0], raw)
    assert split.targets.tolist() == [i % 2 for i in range(300)]
    assert split.class_names == ("cat", "dog")
    for other in (
        data.with_format("torch"),
        data.cast_column("image", datasets.Image(decode=False)),
    ):
        assert torch.equal(from_hugging_face(other).inputs, split.inputs)
    turned = from_hugging_face(data.select([5, 0]))
    assert torch.equal(turned.inputs, split.inputs[[5, 0]])


def test_hugging_face_parquet_is_read_alike(datasets, tmp_path):
    from offmap.sources import load_split

    raw = np.random.default_rng(0).integers(0, 256, (4, 6, 5, 3), dtype=np.uint8)
    features = datasets.Features(
        image=datasets.Image(), label=datasets.ClassLabel(names=["c", "d"])
    )
    data = datasets.Dataset.from_dict(
        {"image": [Image.fromarray(x) for x in raw], "label": [0, 1, 1, 0]}, features=features
    )
    data.to_parquet(tmp_path / "a.parquet")
    one, other = from_hugging_face(data), load_split(tmp_path / "a.parquet")
    assert torch.equal(one.inputs, other.inputs)
    assert torch.equal(one.targets, other.targets)
    assert one.class_names == other.class_names == ("c", "d")


def test_hugging_face_numbers_and_vectors(datasets):
    data = datasets.Dataset.from_dict(
        {"a": [1, 2], "b": [0.5, 1.5], "label": ["x", "y"], "group": [3, 4]}
    )
    split = from_hugging_face(data)
    assert split.inputs.tolist() == [[1, 0.5], [2, 1.5]]
    assert split.inputs.dtype == torch.float32
    assert split.targets.tolist() == [0, 1]
    assert split.groups.tolist() == [3, 4]
    assert from_hugging_face(data, inputs="b").inputs.tolist() == [[0.5], [1.5]]
    assert from_hugging_face(data, inputs="b,a").inputs.tolist() == [[0.5, 1], [1.5, 2]]
    vectors = datasets.Dataset.from_dict({"v": [[1.0, 2.0], [3.0, 4.0]], "y": [0.5, 1.5]})
    assert from_hugging_face(vectors).inputs.tolist() == [[1, 2], [3, 4]]
    ragged = datasets.Dataset.from_dict({"v": [[1.0, 2.0], [3.0]], "y": [0.5, 1.5]})
    with pytest.raises(InputError, match=r"row 1: expected float32 of shape \(2,\)"):
        from_hugging_face(ragged)


def test_hugging_face_refusals(datasets):
    data = datasets.Dataset.from_dict({"v": [[1.0], [2.0]], "w": [[1.0], [2.0]], "truth": [0, 1]})
    with pytest.raises(InputError, match="expected one split, got 'train'"):
        from_hugging_face(datasets.DatasetDict(train=data))
    with pytest.raises(InputError, match="streaming=False"):
        from_hugging_face(data.to_iterable_dataset())
    with pytest.raises(InputError, match="one column of inputs, got 'v', 'w'"):
        from_hugging_face(data)
    with pytest.raises(InputError, match="name them with targets="):
        from_hugging_face(data, inputs="v")
    with pytest.raises(InputError, match="at least one example"):
        from_hugging_face(data.select([]))


def test_hugging_face_needs_no_library():
    """What counts is how it behaves."""

    class Columns:
        column_names = ("x", "y")

        def __len__(self):
            return 3

        def __getitem__(self, rows):
            return {"x": [[1.0, 2.0]] * 3, "y": [0, 1, 2]} | (
                {} if rows.stop > 1 else {"x": [[1.0, 2.0]], "y": [0]}
            )

    assert from_hugging_face(Columns()).targets.tolist() == [0, 1, 2]
