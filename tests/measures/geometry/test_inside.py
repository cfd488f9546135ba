"""The hull as measures ask for it: what rounding leaves open is a refusal, not a crash."""

import pytest
import torch

from offmap.attempt import CannotMeasure
from offmap.measures.geometry import inside


def test_an_undecided_hull_is_a_refusal(monkeypatch, generator):
    def undecided(*_: object, **__: object) -> None:
        raise ArithmeticError("row 0")

    monkeypatch.setattr(inside, "membership", undecided)
    points = torch.randn(10, 2, generator=generator)
    with pytest.raises(CannotMeasure, match="the hull is undecided: row 0"):
        inside.decided(points, points[:1], 2**24)


def test_a_square_knows_its_sides():
    square = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    found = inside.decided(square, torch.tensor([[0.5, 0.25], [1.5, 0.5]]), 2**24)
    assert found.inside.tolist() == [True, False]
