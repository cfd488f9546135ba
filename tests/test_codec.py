"""Every record survives the way to JSON text and back."""

import dataclasses
import json
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from offmap.codec import LEFT_OUT, RECORDS, decode, encode
from offmap.estimate import Estimate, exact, proportion
from offmap.figures import Bars, Curve, Gallery, Histogram, Matrix, Scatter
from offmap.measure import Card
from offmap.reading import Entry, Failed, Reading, Skipped

NAN, INF = math.nan, math.inf
CURVE = Curve(
    "Curve", "x", "y", torch.tensor([0.1, 1.0, INF]),
    {"a": torch.tensor([1.0, NAN, -INF], dtype=torch.double), "number": torch.zeros(3)},
    low={"a": torch.tensor([0.1, 0.2, 0.3])}, high={"a": torch.tensor([1.1, 1.2, 1.3])},
    log_x=True,
)  # fmt: skip
BARS = Bars("Bars", "error", {"one": proportion(1, 3), "kind": exact(2.0)})
READING = Reading(
    proportion(3, 10),
    null=exact(0.5),
    parts={"kind": exact(1.0), "tensor": proportion(1, 2), "kind_": exact(2.0)},
    figures=(CURVE, BARS),
    notes=("one", "two"),
)
ENTRY = Entry(
    "calibration_error", "weak_generalization", "test", READING,
    settings={"bins": 15, "levels": (0.1, 0.2), "name": None, "on": True}, seconds=0.25,
    peak_bytes=7, reused=True,
)  # fmt: skip
EXAMPLES = [
    exact(1.5),
    CURVE,
    Histogram("H", "x", torch.tensor([0.0, 1.0, 2.0]), {"a": torch.tensor([1.0, 2.0])}),
    Scatter("S", "x", "y", torch.tensor([1.0]), torch.tensor([2.0]), ("a",)),
    BARS,
    Matrix("M", "x", "y", ("a", "b"), ("c",), torch.tensor([[1.0, NAN]])),
    Gallery("G", ("test", "train"), torch.tensor([[1, 2], [3, 4]]), ("first", "second")),
    READING,
    Skipped("no test split"),
    Failed("ValueError: no", "Traceback"),
    ENTRY,
    dataclasses.replace(ENTRY, outcome=Skipped("why")),
    Card("n", "q", "s", "asks", "share", (-INF, INF), "lower", "forward", *"abcde"),
]


def _same(first: object, second: object) -> bool:
    """Equality to the bit and type: of tensors too, NaN equal to NaN."""
    if isinstance(first, torch.Tensor):
        return (
            isinstance(second, torch.Tensor)
            and (first.dtype, first.shape) == (second.dtype, second.shape)
            and torch.equal(first.isnan(), second.isnan())
            and torch.equal(first[~first.isnan()], second[~second.isnan()])
        )
    if type(first) is not type(second):
        return False
    if dataclasses.is_dataclass(first):
        names = [f.name for f in dataclasses.fields(first)]
        return all(_same(getattr(first, n), getattr(second, n)) for n in names)
    if isinstance(first, dict):
        return list(first) == list(second) and all(_same(first[k], second[k]) for k in first)
    if isinstance(first, tuple):
        return len(first) == len(second) and all(map(_same, first, second))
    return first == second or (isinstance(first, float) and math.isnan(first) and second != second)


def _through_text(value: object) -> object:
    return decode(json.loads(json.dumps(encode(value), allow_nan=False)))


def test_the_examples_are_of_every_kind_of_record():
    assert {type(example) for example in EXAMPLES} == set(RECORDS.values())


@pytest.mark.parametrize("record", EXAMPLES, ids=lambda record: type(record).__name__)
def test_records_come_back_as_they_were(record):
    assert _same(_through_text(record), record)


@pytest.mark.parametrize(
    "values",
    [
        torch.tensor([True, False]),
        torch.tensor([[1, 2**60], [-3, 4]]),
        torch.arange(3, dtype=torch.uint8),
        torch.tensor([0.1, NAN, INF, -INF, -0.0]),
        torch.tensor([0.1, 1e-310], dtype=torch.double),
        torch.tensor([0.1], dtype=torch.bfloat16),
        torch.tensor(2.5),
        torch.tensor(NAN, dtype=torch.double),
        torch.empty(0, 3),
        torch.empty(2, 0, dtype=torch.long),
        torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(0)),
    ],
    ids=str,
)
def test_tensors_keep_type_shape_and_bits(values):
    assert _same(_through_text(values), values)


def test_per_example_numbers_stay_out_of_the_text():
    reading = Reading(exact(1.0), per_example=torch.ones(3))
    assert set(LEFT_OUT) == {"per_example"}
    assert "per_example" not in encode(reading)
    assert _same(_through_text(reading), Reading(exact(1.0)))


_NUMBERS = st.floats(allow_nan=True, allow_infinity=True)
_LEAVES = st.none() | st.booleans() | st.integers() | _NUMBERS | st.text(max_size=5)
_KEYS = st.text(max_size=4) | st.sampled_from(["kind", "tensor", "number", "kind_", "values"])
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3).map(tuple) | st.dictionaries(_KEYS, inner, max_size=3)
    ),
    max_leaves=12,
)


@given(_VALUES)
@settings(deadline=None, derandomize=True, database=None, max_examples=100)
def test_nested_plain_data_comes_back_whatever_its_keys(value):
    assert _same(_through_text(value), value)


def test_lists_become_tuples():
    assert _through_text([1, [2]]) == (1, (2,))


def test_records_that_nobody_knows_are_refused():
    with pytest.raises(ValueError, match="expected a record of offmap, got 'Popen'"):
        decode({"kind": "Popen", "args": "ls"})
    with pytest.raises(ValueError, match="got 'Estimate'"):
        decode(encode(exact(1.0)), records={})


def test_records_that_break_their_own_law_are_refused():
    damaged = encode(exact(1.0)) | {"low": 2.0}
    with pytest.raises(ValueError, match=r"expected 2\.0 <= 1\.0"):
        decode(damaged)


@pytest.mark.parametrize(
    "value", [object(), {1, 2}, b"bytes", 1j], ids=["object", "set", "bytes", "complex"]
)
def test_what_has_no_place_in_a_report_is_refused(value):
    with pytest.raises(TypeError, match=f"plain data in a report, got {type(value).__name__}"):
        encode({"deep": [value]})


def test_an_estimate_reads_plainly():
    assert encode(Estimate(1.0, 0.5, 2.0, "mean", 3)) == {
        "kind": "Estimate", "value": 1.0, "low": 0.5, "high": 2.0, "method": "mean", "n": 3,
    }  # fmt: skip
