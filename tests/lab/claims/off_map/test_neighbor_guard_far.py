import torch

from offmap.lab.claims.off_map.neighbor_guard_far import _refused
from offmap.lab.run import find


def test_smoke_verdict():
    finding = find(["neighbor_guard_far"], scale="smoke")[0]
    assert finding.verdict == "supported"
    assert finding.parts["digits refused by distance"].value < 0.1  # not by refusing everything
    assert finding.parts["noise at 1000 times refused by confidence"].high < 0.1  # the control


def test_refused_is_what_lies_above_the_quantile():
    calibration = torch.arange(1.0, 100.0)  # 99 scores: 5 in 100 ranks are refused
    assert _refused(torch.tensor([95.0, 95.5, 1e9]), calibration) == 2 / 3
    assert _refused(torch.tensor([0.0, 50.0]), calibration) == 0


def test_familiar_inputs_are_refused_at_the_stated_rate(generator):
    rates = [_refused(*torch.randn(2, 199, generator=generator).unbind()) for _ in range(200)]
    assert abs(sum(rates) / 200 - 0.05) < 0.006
