"""Errors of a known kind become refusals; all others stay what they are."""

import pytest

from offmap.attempt import CannotMeasure, measurable


def undecided() -> float:
    raise ArithmeticError("row 3 is too close to call")


def test_a_refusal_keeps_its_reason():
    with pytest.raises(CannotMeasure, match="the hull is undecided: row 3 is too close") as found:
        measurable(undecided, ArithmeticError, "the hull is undecided")
    assert isinstance(found.value.__cause__, ArithmeticError)


def test_other_errors_are_bugs():
    with pytest.raises(ArithmeticError, match="row 3"):
        measurable(undecided, KeyError, "never")


def test_what_goes_well_is_returned():
    assert measurable(lambda: 2.5, ValueError, "never") == 2.5
