"""Tables of text."""

import numpy as np
import pytest
import torch

from offmap.attempt import InputError
from offmap.sources import load_split


@pytest.fixture
def write(tmp_path):
    def write(text, encoding="utf-8"):
        path = tmp_path / "table.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write


def test_numbers_and_classes(write):
    split = load_split(write("a,b,label\n1,0.5,dog\n2,-3e2,cat\n3,4,dog\n"))
    assert split.inputs.dtype == torch.float32
    assert split.inputs.tolist() == [[1, 0.5], [2, -300], [3, 4]]
    assert split.targets.tolist() == [1, 0, 1]
    assert split.class_names == ("cat", "dog")


def test_numbers_as_targets(write):
    assert load_split(write("a,y\n1,0\n2,3\n")).targets.tolist() == [0, 3]
    real = load_split(write("a,y\n1,0.0\n2,3.5\n")).targets
    assert real.tolist() == [[0.0], [3.5]]
    path = write("a,y\n1,0.0\n2,3.0\n")
    assert load_split(path).targets.tolist() == [[0.0], [3.0]]
    assert load_split(path, task="classification").targets.tolist() == [0, 3]


def test_columns_are_taken_by_name(write):
    path = write("id,a,b,price,house\nx1,1,2,3.5,north\nx2,4,5,6.5,south\n")
    split = load_split(path, inputs="b, a", targets="price", groups="house")
    assert split.inputs.tolist() == [[2, 1], [5, 4]]
    assert split.targets.tolist() == [[3.5], [6.5]]
    assert split.groups.tolist() == [0, 1]
    with pytest.raises(InputError, match=r"numbers in column 'id', got string: leave it out"):
        load_split(path, targets="price", groups="house")
    with pytest.raises(InputError, match=r"expected 'c', got only 'id', 'a'"):
        load_split(path, inputs="a,c", targets="price")
    with pytest.raises(InputError, match=r"expected 'cost', got only"):
        load_split(path, inputs="a", targets="cost")


def test_without_a_usual_name_targets_must_be_named(write):
    path = write("a,b,c\n1,2,3\n")
    with pytest.raises(InputError, match=r"got 'a', 'b', 'c': name them with targets="):
        load_split(path)
    assert load_split(path, targets="c").inputs.tolist() == [[1, 2]]
    assert load_split(path, task="reconstruction").inputs.tolist() == [[1, 2, 3]]


def test_reconstruction_leaves_targets_out(write):
    split = load_split(write("a,label\n1,dog\n2,cat\n"), task="reconstruction")
    assert split.known_targets is None
    assert split.inputs.tolist() == [[1], [2]]


@pytest.mark.parametrize("hole", ["", "NA", "nan"])
def test_missing_inputs_are_refused_by_row_and_column(write, hole):
    with pytest.raises(InputError, match=r"got none at row 1, column 'b'"):
        load_split(write(f"a,b,y\n1,2,0\n1,{hole},1\n"))


def test_missing_and_infinite_values(write):
    with pytest.raises(InputError, match=r"finite number, got inf at row 0, column 'a'"):
        load_split(write("a,y\ninf,0\n1,1\n"))
    with pytest.raises(InputError, match=r"got none at row 1, column 'y'"):
        load_split(write("a,y\n1,0.5\n1,\n"))
    with pytest.raises(InputError, match=r"got an empty one at row 1"):
        load_split(write("a,y\n1,dog\n1,\n"))
    with pytest.raises(InputError, match=r"classes from 0 on, got -2 at row 1"):
        load_split(write("a,y\n1,0\n1,-2\n"))


def test_a_header_is_needed_and_its_names_differ(write):
    with pytest.raises(InputError, match=r"a header with the names of columns, got '1.5,2,0'"):
        load_split(write("1.5,2,0\n3,4,1\n"))
    with pytest.raises(InputError, match=r"got 'a' more than once"):
        load_split(write("a,a,y\n1,2,0\n"))


def test_other_delimiters_and_byte_order_marks(write):
    for delimiter in ";\t":
        path = write("a,b,y\n1.5,2,0\n3,4,1\n".replace(",", delimiter), "utf-8-sig")
        assert load_split(path).inputs.tolist() == [[1.5, 2], [3, 4]]


def test_broken_and_empty_tables_are_refused(write):
    with pytest.raises(InputError, match=r"table.csv cannot be read: ArrowInvalid: .*columns"):
        load_split(write("a,b,y\n1,2,0\n1,2\n"))
    with pytest.raises(InputError, match="at least one example, got none"):
        load_split(write("a,b,y\n"))
    with pytest.raises(InputError, match="columns of inputs, got only targets and groups"):
        load_split(write("y,group\n1,2\n"))


def test_tables_above_the_budget_are_refused_with_advice(write):
    path = write("a,y\n1,0\n2,1\n")
    assert len(load_split(path, memory=24)) == 2
    with pytest.raises(
        InputError, match=r"12 bytes are more than half .* of 23: save it as parquet"
    ):
        load_split(path, memory=23)


def test_whole_numbers_that_turn_into_floats_far_down_the_file(write):
    """Arrow infers types block by block: a late 0.5 must not be refused or cut."""
    count = 200_000
    path = write("a,y\n" + "1,2\n" * count + "0.5,2.5\n")
    split = load_split(path)
    assert split.inputs[-1].item() == 0.5
    assert split.targets[-1].item() == 2.5
    assert np.array_equal(split.targets[:count].numpy(), np.full((count, 1), 2.0))
