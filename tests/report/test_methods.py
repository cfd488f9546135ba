"""Every way of getting an interval has words in the report."""

from typing import get_args

from offmap.estimate import Method
from offmap.report.views import METHODS


def test_every_method_has_words():
    assert set(METHODS) == set(get_args(Method))
