import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from offmap.numerics.quantile import streamed_quantile

SHARES = (0.0, 0.01, 0.1, 0.25, 0.5, 0.9, 0.999, 1.0)


def plain(values, shares=SHARES):
    return np.quantile(values, shares, method="inverted_cdf").tolist()


@pytest.mark.parametrize("size", [61, 1000, 5000])
def test_is_that_of_all_numbers_sorted(generator, size):
    values = torch.randn(5000, generator=generator) * torch.logspace(-30, 30, 5000)
    found = streamed_quantile(lambda: values.split(size), SHARES)
    assert found.tolist() == plain(values.numpy())


@given(
    hnp.arrays(
        np.float32,
        st.integers(1, 40),
        elements=st.one_of(
            st.floats(width=32, allow_nan=False), st.sampled_from([0.0, -0.0, 1.0, -1.0])
        ),
    ),
    st.sampled_from(SHARES),
)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_any_numbers(values, share):
    """Ties, infinities, both zeros, subnormal numbers."""
    (found,) = streamed_quantile(lambda: [torch.from_numpy(values)], [share]).tolist()
    # numpy's rank, without the rounding of share times count
    rank = max(1, int(np.ceil(np.round(share * len(values), 9))))
    assert found == np.sort(values)[rank - 1]


def test_a_share_that_floating_point_misses_by_a_hair():
    """0.07 times 100 is 7.000000000000001: the seventh, not the eighth."""
    values = torch.arange(1.0, 101.0)
    assert streamed_quantile(lambda: [values], [0.07, 0.29, 0.57]).tolist() == [7.0, 29.0, 57.0]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16, torch.int64])
def test_other_types(dtype):
    values = torch.arange(-50, 51).to(dtype).reshape(-1, 1)
    assert streamed_quantile(lambda: values.split(9), [0.0, 0.5, 1.0]).tolist() == [
        -50.0,
        0.0,
        50.0,
    ]


@pytest.mark.parametrize(
    ("chunks", "share", "complaint"),
    [
        ([torch.zeros(3)], 1.5, r"expected shares in \[0, 1\], got \[1.5\]"),
        ([torch.zeros(0)], 0.5, "at least one number"),
        ([], 0.5, "at least one number"),
        ([torch.zeros(3), torch.tensor([1.0, torch.nan])], 0.5, "expected numbers, got NaN"),
    ],
)
def test_refuses_what_has_no_quantile(chunks, share, complaint):
    with pytest.raises(ValueError, match=complaint):
        streamed_quantile(lambda: chunks, [share])
