"""Targets and groups as people store them."""

import numpy as np
import pytest
import torch

from offmap.attempt import InputError
from offmap.sources.targets import as_groups, as_targets


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int64, np.uint32, bool])
def test_whole_numbers_are_classes(kind):
    targets, names = as_targets(np.array([1, 0, 1], dtype=kind))
    assert targets.dtype == torch.int64
    assert targets.tolist() == [1, 0, 1]
    assert names is None


def test_a_column_of_classes_is_one_number_each():
    assert as_targets(np.array([[1], [2]]))[0].tolist() == [1, 2]


def test_floats_are_regression_targets_with_a_column():
    targets, _ = as_targets(np.array([1.0, 2.0]))
    assert targets.dtype == torch.float32
    assert targets.tolist() == [[1.0], [2.0]]
    assert as_targets(np.ones((3, 2)))[0].shape == (3, 2)


def test_the_task_decides_where_the_type_does_not():
    assert as_targets(np.array([1.0, 2.0]), task="classification")[0].tolist() == [1, 2]
    assert as_targets(np.array([1, 2]), task="regression")[0].tolist() == [[1.0], [2.0]]
    with pytest.raises(InputError, match=r"whole numbers, got 1.5 at row 1"):
        as_targets(np.array([1.0, 1.5]), task="classification")
    with pytest.raises(InputError, match=r"whole numbers, got nan at row 0"):
        as_targets(np.array([np.nan, 1.5]), task="classification")


def test_tokens_keep_their_rows():
    assert as_targets(np.array([[1, 2], [3, 4]]), task="tokens")[0].tolist() == [[1, 2], [3, 4]]


def test_strings_are_numbered_in_sorted_order():
    targets, names = as_targets(["dog", "cat", "dog", "ant"])
    assert targets.tolist() == [2, 1, 2, 0]
    assert names == ("ant", "cat", "dog")
    assert as_targets(np.array([b"b", b"a"]))[0].tolist() == [1, 0]
    assert as_targets(np.array(["b", "a"], dtype=object))[1] == ("a", "b")


def test_strings_are_numbered_as_given():
    targets, names = as_targets(["dog", "ant"], class_names=("dog", "cat", "ant"))
    assert targets.tolist() == [0, 2]
    assert names == ("dog", "cat", "ant")
    with pytest.raises(InputError, match=r"among 'dog', 'cat', got 'ant' at row 1"):
        as_targets(["dog", "ant"], class_names=("dog", "cat"))


def test_numbers_go_by_the_names_that_the_file_gives_them():
    targets, names = as_targets([0, 1], file_names=("cat", "dog"), class_names=("dog", "cat"))
    assert targets.tolist() == [1, 0]
    assert names == ("dog", "cat")
    assert as_targets([0, 1], file_names=("cat", "dog"))[1] == ("cat", "dog")
    with pytest.raises(
        InputError, match="a class below 2, as many as the file names, got 2 at row 0"
    ):
        as_targets([2, 1], file_names=("cat", "dog"), class_names=("dog", "cat"))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused_by_row(bad):
    with pytest.raises(InputError, match=r"finite numbers, got .* at row 2"):
        as_targets(np.array([0.5, 1.5, bad]))


def test_negative_classes_are_refused_by_row():
    with pytest.raises(InputError, match="classes from 0 on, got -1 at row 1"):
        as_targets(np.array([0, -1]))


def test_missing_and_strange_targets_are_refused():
    with pytest.raises(InputError, match="got none at row 1"):
        as_targets(np.array([1, None], dtype=object))
    with pytest.raises(InputError, match="got an empty one at row 1"):
        as_targets(["a", ""])
    for bad in (np.array([1j]), np.array(["2020-01-01"], "M8[D]"), np.array([{}]), np.array(3)):
        with pytest.raises(InputError, match="whole numbers, floats or strings"):
            as_targets(bad)
    with pytest.raises(InputError, match="one-hot"):
        as_targets(np.eye(3), task="classification")
    with pytest.raises(InputError, match="one label for each example"):
        as_targets(np.array([["a", "b"]]))


def test_groups():
    assert as_groups(["b", "a", "b"]).tolist() == [1, 0, 1]
    assert as_groups(np.array([[7], [3]], np.uint8)).tolist() == [7, 3]
    for bad in (np.array([0.5]), np.ones((2, 2), int)):
        with pytest.raises(InputError, match="one whole number or string for each example"):
            as_groups(bad)
