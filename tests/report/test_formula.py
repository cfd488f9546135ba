"""Formulas as characters."""

import pytest

from offmap.report.formula import plain


@pytest.mark.parametrize(
    ("latex", "characters"),
    [
        (r"\frac{a}{b}", "a / b"),
        (r"1 + \tfrac12 x_{ij}^2", "1 + (1 / 2) x_ij²"),
        (r"\frac{a + b}{\lVert g_i \rVert^2}", "(a + b) / ‖ g_i ‖²"),
        (r"\sqrt{\max\bigl(0, \bar d\bigr)}", "√(max(0, d\u0304))"),
        (r"\sum_{i \in \text{split}} e^{-t}", "∑_(i ∈ split) e^(-t)"),
        (r"\operatorname{tr} S", "tr S"),
    ],
)
def test_formulas_become_characters(latex, characters):
    assert plain(latex) == characters


def test_an_unknown_command_of_latex_is_an_error():
    with pytest.raises(ValueError, match=r"\\heartsuit"):
        plain(r"a \heartsuit b")
