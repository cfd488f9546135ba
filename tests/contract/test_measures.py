"""Every measure that is found keeps every law."""

import pytest

from offmap.catalog import measures
from offmap.testing import check_measure


@pytest.mark.parametrize("name", measures())
def test_keeps_the_laws(name):
    check_measure(measures()[name])
