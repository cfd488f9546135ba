"""The rehearsal that a plan rests on."""

import pytest

from offmap.engine.probe import sizes


@pytest.mark.parametrize(
    ("rows", "both"), [(60_000, (64, 256)), (1024, (64, 256)), (600, (37, 150)), (40, (16, 64))]
)
def test_of_little_data_little_is_rehearsed(rows, both):
    assert sizes(rows) == both
