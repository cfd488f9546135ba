import pytest
import torch

from offmap.lab.claims.off_map.oe_covers_outliers import oe_covers_outliers
from offmap.lab.run import find


def test_verdict_and_control():
    """Refuted by fakes near the data; of unseen families far away it is true."""
    found = find(["oe_covers_outliers"], scale="smoke")[0]
    assert found.verdict == "refuted"
    assert found.parts["permuted that pass"].high < 0.08
    assert found.parts["most of a family trained against that pass"].high < 0.08


def test_table_has_a_row_for_each_network():
    trial = oe_covers_outliers(
        epochs=2, batch_size=400, alone=("splice",), generator=torch.Generator().manual_seed(0)
    )
    table = trial.figures[0]
    assert table.rows == ("five kinds of noise", "splice")
    assert table.values.shape == (2, 9)
    assert trial.effect == pytest.approx(table.values[0, 5:].max().item())  # after the five seen
