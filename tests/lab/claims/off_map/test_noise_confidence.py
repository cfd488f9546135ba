import torch
from torch import nn

from offmap.lab.claims.off_map.noise_confidence import _confidence
from offmap.lab.run import find


def test_smoke_verdict():
    finding = find(["noise_confidence"], scale="smoke")[0]
    assert finding.verdict == "supported"
    assert finding.parts["confidence, uniform, before training"].high < 0.2  # the control
    assert finding.parts["confidence, test digits"].low > finding.estimate.high


def test_confidence_of_logits_that_are_given():
    rows = torch.tensor([[0.0, 0.0], [0.0, 3.0]]).log1p()
    assert abs(_confidence([nn.Identity(), nn.Identity()], rows) - (0.5 + 0.8) / 2) < 1e-6
