"""The rehearsal that a plan rests on."""

import pytest
import torch
from torch import nn

from offmap import Split, TrainingRun
from offmap.engine import probe


@pytest.mark.parametrize(
    ("rows", "both"), [(60_000, (64, 256)), (1024, (64, 256)), (600, (37, 150)), (40, (16, 64))]
)
def test_of_little_data_little_is_rehearsed(rows, both, monkeypatch):
    split = Split(torch.zeros(rows, 1), torch.zeros(rows, dtype=torch.long))
    asked = []
    monkeypatch.setattr(probe, "_timed", lambda run, *_: asked.append(len(run.train)) or ())
    probe._rehearse(TrainingRun(nn.Linear(1, 2), train=split), [], 0)
    small, large = (min(size, rows) for size in both)
    assert asked == [small, small, large]
