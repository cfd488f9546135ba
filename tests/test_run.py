"""What is audited: laws of Split, refusals of TrainingRun."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from offmap.attempt import InputError
from offmap.run import DEFAULT_MEMORY, Split, TrainingRun
from offmap.table import Subset, Table, TensorTable

LAWS = settings(deadline=None, derandomize=True, database=None, max_examples=60)


class Elsewhere(Table):
    """Rows that are not in memory, and a count of how many were fetched."""

    def __init__(self, values: torch.Tensor) -> None:
        self.values, self.fetched = values, 0
        self.shape, self.dtype = tuple(values.shape[1:]), values.dtype

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: torch.Tensor) -> torch.Tensor:
        self.fetched += len(rows)
        return self.values[rows]


def _columns(n: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return torch.arange(2.0 * n).view(n, 2), torch.arange(n) % 3, torch.arange(n) % 2


def _split(n: int, elsewhere: bool = False, memory: int = DEFAULT_MEMORY) -> Split:
    inputs, targets, groups = _columns(n)
    table = Elsewhere(inputs) if elsewhere else inputs
    return Split(table, targets, groups=groups, name="home", memory=memory)


def _is(split: Split, n: int, rows: torch.Tensor) -> None:
    """It holds those rows of the original columns, under the original name and budget."""
    inputs, targets, groups = _columns(n)
    assert len(split) == len(rows)
    assert torch.equal(split.inputs, inputs[rows])
    assert torch.equal(split.targets, targets[rows])
    assert split.groups is not None
    assert torch.equal(split.groups, groups[rows])
    assert (split.name, split.shape, split.memory) == ("home", (2,), 1234)


_SIZES = st.integers(1, 12)


@given(_SIZES, st.booleans(), st.data())
@LAWS
def test_take_part_window_and_batches_agree_with_indexing(n, elsewhere, data):
    split = _split(n, elsewhere, memory=1234)
    rows = torch.tensor(data.draw(st.lists(st.integers(0, n - 1), max_size=8)), dtype=torch.long)
    _is(split.take(rows), n, rows)
    _is(split.take(rows.int()), n, rows)
    start = data.draw(st.integers(0, n - 1))
    stop = data.draw(st.integers(start + 1, n + 2))
    for piece in (split.part(start, stop), split.window(start, stop)):
        _is(piece, n, torch.arange(start, min(stop, n)))
    size = data.draw(st.integers(1, n + 2))
    batches = list(split.batches(size))
    for number, batch in enumerate(batches):
        _is(batch, n, torch.arange(number * size, min((number + 1) * size, n)))
    assert sum(len(batch) for batch in batches) == n


@given(_SIZES, st.data())
@LAWS
def test_taking_twice_is_taking_once(n, data):
    split = _split(n, elsewhere=True, memory=1234)
    first = torch.tensor(data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=8)))
    second = torch.tensor(data.draw(st.lists(st.integers(0, len(first) - 1), max_size=8))).long()
    _is(split.take(first).take(second), n, first[second])


def test_nothing_is_read_before_it_is_asked_for():
    table = Elsewhere(torch.zeros(100, 2))
    split = Split(table).take(torch.arange(50)).window(10, 20)
    assert table.fetched == 0
    batches = split.batches(4)
    next(batches)
    assert table.fetched == 4
    assert split.inputs.shape == (10, 2)
    assert table.fetched == 14


def test_a_new_name_changes_nothing_else():
    split = _split(5)
    other = split.renamed("away")
    assert (other.name, other.memory, split.name) == ("away", split.memory, "home")
    assert other.table is split.table
    assert other.known_targets is split.known_targets
    assert other.groups is split.groups
    assert split.renamed("away", 99).memory == 99


def test_other_targets_leave_the_rest_alone():
    split = _split(4, memory=1234)
    other = split.with_targets(torch.tensor([7, 7, 7, 7]))
    assert other.targets.tolist() == [7] * 4
    assert torch.equal(other.inputs, split.inputs)
    assert (other.name, other.memory) == ("home", 1234)
    assert other.groups is split.groups


def test_inputs_are_the_targets_where_nothing_else_is_known():
    split = Split(torch.arange(6.0).view(3, 2))
    assert split.known_targets is None
    assert torch.equal(split.targets, split.inputs)
    assert torch.equal(next(split.batches(2)).targets, split.inputs[:2])


def test_all_inputs_at_once_are_refused_above_the_budget():
    values = torch.arange(20.0).view(10, 2)  # 80 bytes
    assert torch.equal(Split(Elsewhere(values), memory=80).inputs, values)
    big = Split(Elsewhere(values), name="huge", memory=79)
    with pytest.raises(InputError, match=r"huge: all inputs at once take 80 bytes.* budget of 79"):
        _ = big.inputs
    assert torch.equal(torch.cat([batch.inputs for batch in big.batches(3)]), values)
    assert torch.equal(big.take(torch.arange(9)).inputs, values[:9])


def test_what_is_in_memory_already_is_never_refused():
    values = torch.arange(20.0).view(10, 2)
    assert torch.equal(Split(values, memory=1).inputs, values)


def test_rows_taken_from_memory_are_in_memory():
    assert isinstance(_split(5).take(torch.tensor([1])).table, TensorTable)
    assert isinstance(_split(5, elsewhere=True).take(torch.tensor([1])).table, Subset)


@pytest.mark.parametrize("what", ["targets", "groups"])
def test_lengths_must_agree(what):
    with pytest.raises(InputError, match=f"home: .*as many {what} .* 4 {what} for 5 inputs"):
        Split(torch.zeros(5, 2), name="home", **{what: torch.zeros(4, dtype=torch.long)})


# ----------------------------------------------------------------------------------- TrainingRun


@pytest.mark.parametrize(
    ("targets", "task"),
    [
        (torch.tensor([0, 1, 2]), "classification"),
        (torch.tensor([True, False, True]), "classification"),
        (torch.tensor([[0], [1], [2]]), "classification"),
        (torch.zeros(3, 5, dtype=torch.long), "tokens"),
        (torch.zeros(3), "regression"),
        (torch.zeros(3, 5), "regression"),
        (None, "reconstruction"),
    ],
)
def test_targets_tell_the_task(targets, task):
    split = Split(torch.zeros(3, 2), targets)
    assert TrainingRun(nn.Identity(), train=split).task == task
    assert TrainingRun(nn.Identity(), test=split).task == task
    assert TrainingRun(nn.Identity(), test=split, task="regression").task == "regression"


def test_train_decides_the_task_where_test_has_no_targets():
    run = TrainingRun(nn.Identity(), train=_split(4), test=Split(torch.zeros(3, 2)))
    assert run.task == "classification"


def test_splits_bear_the_names_of_their_places():
    run = TrainingRun(
        nn.Identity(), train=_split(3), test=_split(4), shifts={"fog": _split(5), "a": _split(6)}
    )
    assert list(run.splits) == ["train", "test", "fog", "a"]
    assert {name: split.name for name, split in run.splits.items()} == {n: n for n in run.splits}
    assert list(TrainingRun(nn.Identity(), test=_split(4)).splits) == ["test"]


def test_a_budget_reaches_every_split_and_leaves_the_run_as_it_was():
    run = TrainingRun(nn.Identity(), train=_split(3), shifts={"fog": _split(5)}, name="mine")
    other = run.with_memory(77)
    assert {split.memory for split in other.splits.values()} == {77}
    assert {split.memory for split in run.splits.values()} == {DEFAULT_MEMORY}
    assert (other.name, other.task, other.model) == ("mine", run.task, run.model)


def test_a_run_needs_data():
    with pytest.raises(InputError, match="a train or a test split, got neither"):
        TrainingRun(nn.Identity(), shifts={"fog": _split(3)})


@pytest.mark.parametrize("name", ["train", "test", "all", ""])
def test_reserved_names_are_refused(name):
    with pytest.raises(InputError, match=f"another name for the shift '{name}'"):
        TrainingRun(nn.Identity(), test=_split(3), shifts={name: _split(3)})


def test_splits_without_examples_are_refused():
    empty = Split(torch.empty(0, 2), torch.empty(0, dtype=torch.long))
    with pytest.raises(InputError, match="fog: expected at least one example, got none"):
        TrainingRun(nn.Identity(), test=_split(3), shifts={"fog": empty})
    with pytest.raises(InputError, match="train: expected at least one example"):
        TrainingRun(nn.Identity(), train=empty)
