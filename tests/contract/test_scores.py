"""Every score that is found keeps every law."""

import pytest

from offmap.catalog import scores
from offmap.testing import check_onnx, check_score


@pytest.mark.parametrize("name", scores())
def test_keeps_the_laws(name):
    check_score(scores()[name])


def test_all_scores_are_the_same_under_onnxruntime():
    check_onnx([*scores().values()])
