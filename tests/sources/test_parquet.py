"""Parquet files: images as Hugging Face writes them, vectors, and columns of numbers."""

import gc
import json
from io import BytesIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from offmap.attempt import InputError
from offmap.sources import PixelTable, load_split
from offmap.table import RawFile, TensorTable


def png(pixels):
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def write(tmp_path):
    def write(columns, metadata=None, **settings):
        table = pa.table(columns)
        if metadata:
            table = table.replace_schema_metadata(metadata)
        pq.write_table(table, tmp_path / "data.parquet", **settings)
        return tmp_path / "data.parquet"

    return write


@pytest.fixture
def images():
    raw = np.random.default_rng(0).integers(0, 256, (9, 5, 6, 3), dtype=np.uint8)
    return raw, [{"bytes": png(image), "path": None} for image in raw]


def test_images(write, images):
    raw, stored = images
    split = load_split(write({"image": stored, "label": list(range(9))}))
    assert split.shape == (3, 5, 6)
    assert torch.equal(split.inputs, torch.from_numpy(raw).permute(0, 3, 1, 2).float() / 255)
    assert split.targets.tolist() == list(range(9))
    plain = load_split(write({"scan": [s["bytes"] for s in stored], "label": list(range(9))}))
    assert torch.equal(plain.inputs, split.inputs)


def test_images_above_half_of_the_budget_go_to_a_file_once(write, images, tmp_path):
    raw, stored = images
    path = write({"image": stored, "label": list(range(9))}, row_group_size=2)
    cache = tmp_path / "cache"
    cache.mkdir()
    small = load_split(path, memory=2 * raw.nbytes, cache=cache)
    assert isinstance(small.table, PixelTable)
    assert isinstance(small.table.pixels, TensorTable)
    assert list(cache.iterdir()) == []
    large = load_split(path, memory=2 * raw.nbytes - 1, cache=cache)
    assert isinstance(large.table, PixelTable)
    assert isinstance(large.table.pixels, RawFile)
    assert [file.stat().st_size for file in cache.iterdir()] == [raw.nbytes]
    got = torch.cat([batch.inputs for batch in large.batches(4)])
    assert torch.equal(got, small.table.read(0, 9))
    del large
    gc.collect()
    assert list(cache.iterdir()) == []


def test_class_names_of_hugging_face(write, images):
    features = {"label": {"_type": "ClassLabel", "names": ["cat", "dog"]}, "image": {}}
    said = {"huggingface": json.dumps({"info": {"features": features}})}
    columns = {"image": images[1][:2], "label": [1, 0]}
    assert load_split(write(columns, said)).class_names == ("cat", "dog")
    turned = load_split(write(columns, said), class_names=("dog", "cat"))
    assert turned.targets.tolist() == [0, 1]
    with pytest.raises(InputError, match="huggingface metadata cannot be read"):
        load_split(write(columns, {"huggingface": "{"}))


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.list_(pa.float32(), 3),
                                  pa.large_list(pa.float32()), pa.list_(pa.float64())])  # fmt: skip
def test_lists_are_vectors(write, kind):
    rows = [[1.5, 2, 3], [4, 5, 6.5]]
    split = load_split(write({"embedding": pa.array(rows, kind), "y": [0.5, 1.5]}))
    assert split.inputs.dtype == torch.float32
    assert split.inputs.tolist() == rows
    assert split.targets.tolist() == [[0.5], [1.5]]


def test_nested_lists_of_bytes_are_images(write):
    raw = np.random.default_rng(0).integers(0, 256, (3000, 4, 5), dtype=np.uint8)
    column = pa.array(raw.tolist(), pa.list_(pa.list_(pa.uint8())))
    split = load_split(write({"pixels": column, "y": [0] * 3000}))
    assert split.shape == (1, 4, 5)
    assert np.array_equal((split.inputs * 255).round().numpy()[:, 0], raw)


def test_lists_must_be_full_and_of_one_length(write):
    for bad, message in [
        ([[1.0, 2], [3.0], [1.0, 2]], r"expected 2 values as in row 0, got 1 at row 1, column 'v'"),
        ([[1.0, 2], [3.0, None]], r"got none at row 1, column 'v'"),
        ([[1.0, 2], None], r"got none at row 1, column 'v'"),
        ([["a"], ["b"]], r"numbers in column 'v', got string"),
    ]:
        with pytest.raises(InputError, match=message):
            load_split(write({"v": bad, "y": [0] * len(bad)}))
    nested = [[[1.0, 2], [3.0, 4]], [[1.0, 2], [3.0, None]]]
    with pytest.raises(InputError, match=r"got none at row 1, column 'v'"):
        load_split(write({"v": nested, "y": [0, 1]}))
    nested = [[[1.0, 2], [3.0, 4]], [[1.0, 2], [3.0]]]
    with pytest.raises(InputError, match=r"got 1 at row 1, column 'v'"):
        load_split(write({"v": nested, "y": [0, 1]}))


def test_the_row_is_named_past_the_first_batch(write):
    rows = [[1.0, 2.0]] * 1500 + [[1.0]]
    with pytest.raises(InputError, match=r"got 1 at row 1500"):
        load_split(write({"v": rows, "y": [0] * 1501}))


def test_columns_of_numbers_stand_side_by_side(write):
    columns = {"x": [1, 2], "z": [0.5, 1.5], "flag": [True, False], "target": ["b", "a"],
               "group": ["n", "s"]}  # fmt: skip
    split = load_split(write(columns))
    assert split.inputs.tolist() == [[1, 0.5, 1], [2, 1.5, 0]]
    assert split.class_names == ("a", "b")
    assert split.groups.tolist() == [0, 1]
    assert load_split(write(columns), inputs="z,x").inputs.tolist() == [[0.5, 1], [1.5, 2]]
    with pytest.raises(InputError, match=r"numbers in column 'name', got string"):
        load_split(write(columns | {"name": ["a", "b"]}))
    with pytest.raises(InputError, match=r"finite number, got nan at row 1, column 'z'"):
        load_split(write(columns | {"z": [0.5, float("nan")]}))
    with pytest.raises(InputError, match=r"got none at row 0, column 'x'"):
        load_split(write(columns | {"x": [None, 1]}))


def test_dictionary_columns_are_strings(write):
    split = load_split(write({"a": [1, 2], "y": pa.array(["q", "p"]).dictionary_encode()}))
    assert split.targets.tolist() == [1, 0]


def test_which_column_is_meant_must_be_clear(write):
    columns = {"v": [[1.0], [2.0]], "w": [[1.0], [2.0]], "y": [0, 1]}
    with pytest.raises(InputError, match=r"one column of inputs, got 'v', 'w'"):
        load_split(write(columns))
    assert load_split(write(columns), inputs="w").inputs.tolist() == [[1], [2]]
    with pytest.raises(InputError, match=r"got 'truth': name them with targets="):
        load_split(write({"v": [[1.0]], "truth": [0]}))
    assert load_split(write({"v": [[1.0]]})).known_targets is None
    with pytest.raises(InputError, match="at least one example"):
        load_split(
            write({"v": pa.array([], pa.list_(pa.float32())), "y": pa.array([], pa.int64())})
        )


def test_wrong_targets_are_refused(write):
    when = pa.array([0, 1], pa.timestamp("s"))
    with pytest.raises(InputError, match=r"numbers in column 'y', got timestamp"):
        load_split(write({"v": [[1.0], [2.0]], "y": when}))
    with pytest.raises(InputError, match="finite numbers, got nan at row 1"):
        load_split(write({"v": [[1.0], [2.0]], "y": [0.5, float("nan")]}))
    with pytest.raises(InputError, match="got none at row 1, column 'y'"):
        load_split(write({"v": [[1.0], [2.0]], "y": [1, None]}))


def test_unreadable_images_are_named_by_row(write, images):
    stored = images[1][:3]
    broken = [*stored, {"bytes": stored[0]["bytes"][:-30], "path": None}]
    with pytest.raises(InputError, match=r"data.parquet, row 3 cannot be read"):
        load_split(write({"image": broken, "label": [0] * 4}))
    missing = [*stored, {"bytes": None, "path": "a.png"}]
    with pytest.raises(InputError, match=r"got none at row 3, column 'image'"):
        load_split(write({"image": missing, "label": [0] * 4}))
    other = [*stored, {"bytes": png(np.zeros((4, 4, 3), np.uint8)), "path": None}]
    with pytest.raises(
        InputError, match=r"row 3: expected uint8 of shape \(5, 6, 3\) as in .*row 0"
    ):
        load_split(write({"image": other, "label": [0] * 4}))


@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.95, 0.999])
def test_truncated_files_are_refused(write, images, share):
    path = write({"image": images[1], "label": list(range(9))})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=r"data\.parquet cannot be read"):
        load_split(path)


@pytest.mark.data
def test_cifar(data_folder, tmp_path):
    path = data_folder / "cifar10-test.parquet"
    split = load_split(path, name="test")
    assert split.shape == (3, 32, 32)
    assert len(split) == 10_000
    table = pq.read_table(path)
    assert split.targets.tolist() == table["label"].to_pylist()
    for row in (0, 1023, 1024, 9999):
        stored = table["image"][row].as_py()["bytes"]
        want = np.asarray(Image.open(BytesIO(stored)).convert("RGB"))
        got = (split.part(row, row + 1).inputs[0] * 255).round().permute(1, 2, 0).numpy()
        assert np.array_equal(got, want)
